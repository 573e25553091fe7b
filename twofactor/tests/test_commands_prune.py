"""`manage.py prune`: what is over goes, what is not stays, and it says how many."""

import uuid
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import CommandError
from django.utils import timezone

from twofactor import prune
from twofactor.models import PendingSignIn, SecurityEvent, TrustedBrowser
from twofactor.tests.helpers import (
    VERIFY_LOGIN,
    code_now,
    give_password,
    is_signed_in,
    new_client,
    sign_in,
    wrong_code,
)

NOTHING = [
    "0 expired sessions", "0 listed sessions that ended", "0 expired trusted browsers", "0 abandoned sign-ins",
    "0 old security events",
]  # fmt: skip


def ago(**how):
    return timezone.now() - timedelta(**how)


def event(user, **how):
    return SecurityEvent.objects.create(user=user, kind="turned_on", created_at=ago(**how))


def session(**how):
    return Session.objects.create(session_key=uuid.uuid4().hex, session_data="", expire_date=ago(**how))


def listed(user, key, **how):
    row = UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent="x")
    UserSession.objects.filter(pk=row.pk).update(created_at=ago(**how))
    return row


def browser(user, **how):
    return TrustedBrowser.objects.create(user=user, digest=uuid.uuid4().hex, binding="x", expires_at=ago(**how))


def pending(user, **how):
    return PendingSignIn.objects.create(user=user, began_at=ago(**how))


@pytest.mark.parametrize("what, make, over, alive", [
    ("expired sessions", lambda user, **how: session(**how), {"seconds": 1}, {"hours": -1}),
    ("expired trusted browsers", browser, {"seconds": 1}, {"hours": -1}),
    ("abandoned sign-ins", pending, {"minutes": 10}, {"minutes": 9}),
    ("old security events", event, {"days": 366}, {"days": 364}),
])  # fmt: skip
def test_what_is_over_goes_and_what_is_not_stays(run, user, what, make, over, alive):
    make(user, **over)
    make(user, **over)
    kept = make(user, **alive)
    assert f"2 {what}\n" in run("prune")
    assert list(type(kept).objects.all()) == [kept]
    assert run("prune").splitlines() == NOTHING


def test_a_listed_session_goes_when_its_session_is_gone_but_not_in_the_middle_of_a_sign_in(run, user):
    client = sign_in(new_client(), user)
    UserSession.objects.update(created_at=ago(days=3))
    listed(user, "gone", hours=2)
    signing_in = listed(user, "on its way", minutes=1)
    assert "1 listed sessions that ended\n" in run("prune")
    kept = set(UserSession.objects.values_list("session_key", flat=True))
    assert kept == {client.session.session_key, signing_in.session_key}


def test_a_session_that_expires_takes_its_listing_with_it(run, user):
    sign_in(new_client(), user)
    UserSession.objects.update(created_at=ago(days=30))
    Session.objects.update(expire_date=ago(days=1))
    said = run("prune").splitlines()
    assert said[:2] == ["1 expired sessions", "1 listed sessions that ended"]


def test_whoever_is_signed_in_or_about_to_be_notices_nothing(run, user, authenticator, secret):
    owner, halfway = sign_in(new_client(), user, code=code_now(secret)), new_client()
    give_password(halfway, user)
    halfway.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert run("prune").splitlines() == NOTHING
    assert is_signed_in(owner)
    assert PendingSignIn.objects.get().tries == 1


def test_it_goes_in_batches_and_counts_all_of_them(run, user, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(prune, "BATCH", 3)
    for _ in range(7):
        event(user, days=400)
    kept = event(user, days=1)
    with django_assert_max_num_queries(2 * 3 + 5 + 5):
        assert "7 old security events\n" in run("prune")
    assert list(SecurityEvent.objects.all()) == [kept]


def test_a_row_that_comes_back_to_life_meanwhile_stays(user, monkeypatch):
    saved = session(hours=1)
    rows = Session.objects.filter(expire_date__lt=timezone.now())
    delete = type(rows).delete

    def renew_first(found):
        Session.objects.update(expire_date=ago(hours=-1))
        return delete(found)

    monkeypatch.setattr(type(rows), "delete", renew_first)
    assert prune._delete(rows) == 0
    assert Session.objects.get() == saved


# --- How long events are kept -----------------------------------------------------------------------


def test_events_are_kept_as_long_as_told(run, user):
    event(user, days=101)
    kept = event(user, days=99)
    assert "1 old security events\n" in run("prune", "--keep-events", "100")
    assert list(SecurityEvent.objects.all()) == [kept]


@pytest.mark.parametrize("days", ["89", "0", "-1", "x", "", "1e3"])
def test_events_of_the_last_90_days_are_never_deleted(run, user, days):
    kept = event(user, days=89)
    with pytest.raises(CommandError, match="90 days at least"):
        run("prune", f"--keep-events={days}")
    list(prune.prune(keep_events=1))
    assert list(SecurityEvent.objects.all()) == [kept]


def test_sessions_that_are_no_rows_are_left_to_whatever_keeps_them(run, user, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    kept = listed(user, "elsewhere", days=2)
    assert "sessions" not in run("prune")
    assert UserSession.objects.get() == kept
