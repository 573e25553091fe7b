"""Rate limits in the cache."""

import time

from twofactor import limits


def test_emails_about_wrong_passwords_are_counted_by_user(request_, user, make_user):
    bob = make_user("bob@example.com")
    assert [limits.claim_password_email(request_, owner) for owner in (user, user, bob)] == [True, False, True]


def test_one_of_two_parallel_requests_records_the_end_of_a_session(request_):
    tries = limits.PasswordTries(request_)
    assert [tries.claim_end() for _ in range(2)] == [True, False]


def test_the_wait_lasts_until_the_oldest_of_twenty_tries_expires(request_, monkeypatch):
    now = time.time()
    for seconds in range(0, 200, 10):
        monkeypatch.setattr(time, "time", lambda: now + seconds)
        assert limits.Source(request_).is_open
    monkeypatch.setattr(time, "time", lambda: now + 200)
    assert limits.Source(request_).wait == 400
