"""Rate limits in the database: what is counted, for how long, and what is given back."""

import time

import pytest

from twofactor import limits
from twofactor.models import Limit
from twofactor.models.limit import limit_key
from twofactor.tests.constants import NOW

pytestmark = pytest.mark.database


def hit(now, key="a"):
    return Limit.objects.hit(key, 3, 60, now=now)


def test_at_most_the_amount_is_counted_in_a_window_that_begins_with_the_first_hit(db):
    assert [hit(NOW + seconds) for seconds in (0, 58, 59, 59.9)] == [True, True, True, False]
    assert hit(NOW, key="b")
    assert [hit(NOW + seconds) for seconds in (60, 61, 119, 119)] == [True, True, True, False]
    assert Limit.objects.hits_and_wait("a", now=NOW + 119) == (3, 1)


def test_a_refused_hit_does_not_extend_the_window(db):
    assert [hit(NOW) for _ in range(9)].count(True) == 3
    assert Limit.objects.hits_and_wait("a", now=NOW) == (3, 60)
    assert Limit.objects.hits_and_wait("a", now=NOW + 60) == (0, 0)
    assert Limit.objects.hits_and_wait("never hit", now=NOW) == (0, 0)


def test_one_hit_of_several_keys_is_given_back_in_one_statement(db, django_assert_num_queries):
    assert hit(NOW)
    assert hit(NOW)
    assert hit(NOW, key="b")
    for _ in range(2):
        with django_assert_num_queries(1):
            Limit.objects.give_back("a", "b", "never hit")
    assert dict(Limit.objects.values_list("key", "hits")) == {"a": 0, "b": 0}


def test_cleared_hits_leave_the_row_on_which_a_parallel_hit_may_count(db):
    assert [hit(NOW) for _ in range(4)].count(True) == 3
    Limit.objects.clear("a", "never hit")
    assert Limit.objects.hits_and_wait("a", now=NOW + 1) == (0, 59)
    assert hit(NOW + 1)


def test_the_first_hit_takes_four_statements_and_any_other_one(db, django_assert_num_queries):
    for now, count in ((NOW, 4), (NOW + 1, 1), (NOW + 60, 1)):  # an UPDATE, and an INSERT in a savepoint
        with django_assert_num_queries(count):
            assert hit(now)


def test_a_key_is_a_hash_of_the_subject_with_a_name():
    key = limit_key("codes", "192.0.2.1")
    assert key == limit_key("codes", "192.0.2.1")
    assert len({key, limit_key("codes", "192.0.2.2"), limit_key("setup", "192.0.2.1")}) == 3
    assert "192.0.2.1" not in key
    assert len(limit_key("a" * 35, "x" * 254)) == 100


@pytest.mark.parametrize("tries, amount", [
    (limits.sign_in, 5), (limits.setup, 5), (limits.passwords_of_session, 10), (limits.session_end, 1),
])  # fmt: skip
def test_each_sign_in_setup_and_session_has_tries_of_its_own(db, tries, amount):
    assert [tries("one").charge() for _ in range(amount + 1)] == [True] * amount + [False]
    assert tries("another").charge()


def test_emails_about_wrong_codes_and_passwords_are_counted_by_kind_and_user(user, make_user):
    bob = make_user("bob@example.com")
    emails = [("code", user), ("code", user), ("code", bob), ("password", user), ("password", user)]
    assert [limits.failure_email(*email).charge() for email in emails] == [True, False, True, True, False]


def test_emails_to_an_address_are_three_an_hour_of_each_kind(db):
    sent = [limits.email_to("reset", address).charge() for address in ("a@x.y", "A@X.Y", "a@X.y", "a@x.y", "b@x.y")]
    assert sent == [True, True, True, False, True]
    assert limits.email_to("other", "a@x.y").charge()


def test_a_pending_sign_in_ends_once(db):
    tries, other = limits.sign_in("a" * 32), limits.sign_in("b" * 32)
    assert other.charge()
    assert all(tries.charge() for _ in range(5))
    assert tries.left() == 0
    assert [tries.end() for _ in range(2)] == [True, False]
    limits.give_back(tries)
    assert tries.hits == limits.USED_UP
    assert tries.complete(), "A right code that was charged in time came too late."
    assert other.left() == 4


def test_a_pending_sign_in_is_completed_once_and_has_no_try_afterwards(db):
    tries = limits.sign_in("a" * 32)
    assert tries.charge()
    assert [tries.complete() for _ in range(2)] == [True, False]
    limits.give_back(tries)  # of a parallel try that was not checked
    assert not tries.complete()
    assert not tries.end()
    assert not tries.charge()
    assert (tries.hits, tries.left()) == (limits.COMPLETED, 0)


def test_the_wait_is_at_least_one_second(db, monkeypatch):
    source = limits.Tries("a", 1, 60)
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: now)
    assert source.charge()
    monkeypatch.setattr(time, "time", lambda: now + 20)
    assert source.wait() == 40
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert source.wait() == 1
