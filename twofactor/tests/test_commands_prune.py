"""`manage.py twofactor prune`: expired rows of the app are deleted and counted, all others are kept."""

import uuid
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from twofactor import prune
from twofactor.models import Limit, SecurityEvent, TrustedBrowser
from twofactor.tests.helpers import new_client, sign_in

pytestmark = pytest.mark.database

NOTHING = ["Deleted expired trusted browsers: 0", "Deleted expired limits: 0", "Deleted old security events: 0"]


def ago(**offset):
    return timezone.now() - timedelta(**offset)


def event(user, **offset):
    return SecurityEvent.objects.create(user=user, kind="turned_on", created_at=ago(**offset))


def browser(user, **offset):
    return TrustedBrowser.objects.create(user=user, digest=uuid.uuid4().hex, binding="x", expires_at=ago(**offset))


def limit(user, **offset):
    return Limit.objects.create(key=uuid.uuid4().hex, hits=1, ends_at=ago(**offset).timestamp())


@pytest.mark.parametrize("what, make, expired, alive", [
    ("expired trusted browsers", browser, {"seconds": 1}, {"hours": -1}),
    ("expired limits", limit, {"seconds": 1}, {"seconds": -9}),
    ("old security events", event, {"days": 366}, {"days": 364}),
])  # fmt: skip
def test_expired_rows_are_deleted_and_others_stay(run_command, user, what, make, expired, alive):
    make(user, **expired)
    make(user, **expired)
    kept = make(user, **alive)
    assert f"Deleted {what}: 2\n" in run_command("twofactor", "prune")
    assert list(type(kept).objects.all()) == [kept]
    assert run_command("twofactor", "prune").splitlines() == NOTHING


def test_sessions_and_their_list_stay_since_they_belong_to_the_site(run_command, user):
    sign_in(new_client(), user)
    Limit.objects.all().delete()
    UserSession.objects.update(created_at=ago(days=30))
    Session.objects.update(expire_date=ago(days=1))
    assert run_command("twofactor", "prune").splitlines() == NOTHING
    assert Session.objects.count() == UserSession.objects.count() == 1


def test_rows_are_deleted_in_batches_and_all_are_counted(run_command, user, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(prune, "BATCH", 3)
    for _ in range(7):
        event(user, days=400)
    kept = event(user, days=1)
    with django_assert_max_num_queries(2 * 3 + 5 + 2):
        assert "Deleted old security events: 7\n" in run_command("twofactor", "prune")
    assert list(SecurityEvent.objects.all()) == [kept]


def test_a_row_that_is_renewed_meanwhile_stays(user, monkeypatch):
    saved = browser(user, hours=1)
    rows = TrustedBrowser.objects.filter(expires_at__lt=timezone.now())
    delete = type(rows).delete

    def renew_first(found):
        TrustedBrowser.objects.update(expires_at=ago(hours=-1))
        return delete(found)

    monkeypatch.setattr(type(rows), "delete", renew_first)
    assert prune.delete_in_batches(rows) == 0
    assert TrustedBrowser.objects.get() == saved


def test_events_are_kept_for_the_days_of_the_setting(run_command, user, settings):
    settings.TWOFACTOR_EVENT_DAYS = 100
    event(user, days=101)
    kept = event(user, days=99)
    assert "Deleted old security events: 1\n" in run_command("twofactor", "prune")
    assert list(SecurityEvent.objects.all()) == [kept]


def test_events_of_the_last_90_days_are_never_deleted(run_command, user, settings):
    settings.TWOFACTOR_EVENT_DAYS = 1
    kept = event(user, days=89)
    event(user, days=91)
    assert "Deleted old security events: 1\n" in run_command("twofactor", "prune")
    assert list(SecurityEvent.objects.all()) == [kept]


def test_the_last_sign_in_of_a_user_is_kept(run_command, user, bob):
    """Otherwise a thief who signs in to an account that was not used for long would be the first one."""
    kinds = ["signed_in", "new_browser", "turned_on"]
    made = [SecurityEvent.objects.create(user=each, kind=kind) for each in (user, bob) for kind in kinds]
    SecurityEvent.objects.update(created_at=ago(days=400))
    recent = SecurityEvent.objects.create(user=bob, kind="signed_in")
    assert "Deleted old security events: 5\n" in run_command("twofactor", "prune")
    assert set(SecurityEvent.objects.all()) == {made[1], recent}
