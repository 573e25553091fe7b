"""The session store: rows decide, a new key renames the row, and an ended session is not restored."""

import time
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from config.sessions import SessionStore
from twofactor import prune, times
from twofactor.tests.constants import CHANGE_PASSWORD, LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in
from twofactor.tests.responses import redirect_target

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def saved():
    """A saved session, loaded again as by the next request."""
    store = SessionStore()
    store["a"] = 1
    store.save()
    return SessionStore(store.session_key)


def keys():
    return list(Session.objects.values_list("session_key", flat=True))


def test_deleting_all_rows_ends_every_session_at_its_next_request(user):
    client = sign_in(new_client(), user)
    assert client.get(SETTINGS).status_code == 200
    Session.objects.all().delete()
    assert redirect_target(client.get(SETTINGS)).startswith(LOGIN)


@pytest.mark.parametrize("key", [
    "aaaaaaaa\0aaaa", "a" * 32 + "é", "%00" * 10, "A" * 32, "a" * 31, "a" * 41, "a" * 60_000, "a" * 32 + "\n",
])  # fmt: skip
def test_a_malformed_session_key_is_neither_looked_up_nor_logged(key, client, django_assert_num_queries, caplog):
    client.cookies["sessionid"] = key
    with django_assert_num_queries(0):
        assert client.get("/").status_code == 200
    assert SessionStore(key).session_key is None
    assert key[:8] not in caplog.text


def test_a_session_key_of_the_former_store_is_valid(saved):
    Session.objects.update(session_key="0123456789" * 4)
    assert SessionStore(keys()[0])["a"] == 1


def test_an_unknown_session_key_is_replaced():
    forged = SessionStore("f" * 32)
    forged["a"] = 1
    forged.cycle_key()
    forged.save()
    assert keys() == [forged.session_key] != ["f" * 32]


def test_a_new_key_renames_the_row(saved):
    old = saved.session_key
    saved.cycle_key()
    saved["b"] = 2
    saved.save()
    assert keys() == [saved.session_key] != [old]
    assert dict(SessionStore(saved.session_key).items()) == {"a": 1, "b": 2}
    saved.cycle_key()
    saved.flush()
    assert (keys(), saved.session_key) == ([], None)


def test_a_sign_in_with_the_cookie_of_an_ended_session_succeeds(user):
    client = sign_in(new_client(), user)
    Session.objects.all().delete()
    assert is_signed_in(sign_in(client, user))


@pytest.mark.parametrize("write, error", [("save", UpdateError), ("cycle_key", SessionInterrupted)])
def test_an_ended_session_is_not_saved_again_and_gets_no_new_key(saved, write, error):
    saved["a"] += 1
    SessionStore().delete(saved.session_key)
    with pytest.raises(error):
        getattr(saved, write)()
    assert keys() == []


@pytest.fixture
def let_days_pass(monkeypatch):
    """Return a function that moves the clock by days, and one minute for the time the sign-in took."""
    now = time.time() + 60
    return lambda days: monkeypatch.setattr(time, "time", lambda: now + days * 86400)


def test_a_session_ends_30_days_after_sign_in_even_if_used(user, let_days_pass):
    client = sign_in(new_client(), user)
    let_days_pass(29)
    client.post(CHANGE_PASSWORD, {"oldpassword": PASSWORD, "password1": "zinc-Harbour-9-lantern"})
    assert client.get(SETTINGS).status_code == 200
    let_days_pass(30)
    assert redirect_target(client.get(SETTINGS)).startswith(LOGIN)
    assert "30 days" in client.get(LOGIN).content.decode()
    assert keys() == []


def test_a_new_sign_in_restarts_the_30_days(user, let_days_pass):
    client = sign_in(new_client(), user)
    let_days_pass(29)
    client.post("/accounts/logout/")
    sign_in(client, user)
    let_days_pass(30)
    assert client.get(SETTINGS).status_code == 200


def test_a_session_without_a_start_time_ends_30_days_after_its_next_request(user, let_days_pass):
    client = sign_in(new_client(), user)
    session = client.session
    del session["signed_in_at"]
    session.save()
    assert client.get(SETTINGS).status_code == 200
    let_days_pass(29)
    assert client.get(SETTINGS).status_code == 200
    let_days_pass(30)
    assert client.get(SETTINGS).status_code == 302


def test_the_activity_of_a_session_is_recorded_once_an_hour(user, let_days_pass):
    client = sign_in(new_client(), user)
    hour = 1 / 24
    UserSession.objects.update(last_seen_at=times.at(0))
    let_days_pass(hour / 2)
    client.get("/")
    assert UserSession.objects.get().last_seen_at == times.at(0)
    let_days_pass(hour)
    client.get("/")
    assert UserSession.objects.get().last_seen_at == times.at(int(time.time()))


def minutes_left():
    (expires,) = Session.objects.values_list("expire_date", flat=True)
    return round((expires - timezone.now()).total_seconds() / 60)


def test_the_session_of_a_pending_sign_in_expires_after_thirty_minutes(user, second_factor, secret):
    client = new_client()
    give_password(client, user)
    assert minutes_left() == 30
    client.post(VERIFY_LOGIN, {"backup_code": "0000-0000-0000-0000"})
    assert minutes_left() == 30
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert (is_signed_in(client), minutes_left()) == (True, 14 * 24 * 60)


def test_a_session_without_2fa_expires_after_14_days(user):
    sign_in(new_client(), user)
    assert minutes_left() == 14 * 24 * 60


def test_a_sign_in_before_the_address_is_confirmed_keeps_the_session_of_the_sign_up(db):
    client = new_client()
    client.post("/accounts/signup/", {"email": "bob@example.com", "full_name": "Bob", "password1": PASSWORD})
    client.post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    assert minutes_left() == 14 * 24 * 60


def test_clearsessions_deletes_expired_rows_in_batches(monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(prune, "BATCH", 3)
    now = timezone.now()
    Session.objects.bulk_create(Session(session_key=f"a{n}", expire_date=now - timedelta(1)) for n in range(7))
    Session.objects.create(session_key="kept", expire_date=now + timedelta(1))
    with django_assert_max_num_queries(2 * 3 + 1):
        call_command("clearsessions")
    assert keys() == ["kept"]
