"""What a sign-in and the settings page cost: statements on the default database, slow hashes."""

import pytest
from django.contrib.auth.hashers import get_hasher
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.hashers import Argon2idHasher
from conftest import PASSWORD
from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    VERIFY_LOGIN,
    code_now,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

FREE = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


class Statements(CaptureQueriesContext):
    """Every statement on the default connection but those that only open and close transactions."""

    def __init__(self):
        super().__init__(connection)

    @property
    def paid(self):
        return [query["sql"] for query in self.captured_queries if not query["sql"].upper().startswith(FREE)]


@pytest.fixture
def counted(db):
    return Statements


def sign_in_by_all_requests(client, user, code):
    """Open the form, give the password, see the code form, give the code, arrive."""
    client.get(LOGIN)
    response = client.post(LOGIN, {"login": user.email, "password": PASSWORD})
    if target := redirect_target(response):
        client.get(target)
    response = client.post(VERIFY_LOGIN, {"code": code})
    assert client.get(redirect_target(response)).status_code == 200


# Over HTMX the form for the code comes with the answer to the password; without, it is a request more.
@pytest.mark.parametrize("htmx, most", [(True, 13), (False, 15)])
def test_the_number_of_statements_of_a_sign_in_with_a_code(user, authenticator, secret, counted, htmx, most):
    cache.clear()
    client, code = new_client(htmx=htmx), code_now(secret)
    with counted() as said:
        sign_in_by_all_requests(client, user, code)
    assert len(said.paid) <= most, "\n".join(said.paid)
    assert is_signed_in(client)


def test_a_second_sign_in_in_the_same_browser_needs_no_more_statements(user, authenticator, secret, counted):
    client = new_client()
    sign_in_by_all_requests(client, user, code_now(secret))
    client.post("/accounts/logout/")
    Authenticator.objects.update(last_time_step=-1)
    with counted() as said:
        sign_in_by_all_requests(client, user, code_now(secret))
    assert len(said.paid) <= 15, "\n".join(said.paid)


@pytest.fixture
def slow_hashes(monkeypatch, real_hasher):
    """Every password hash that is computed from now on."""
    made, encode, verify = [], Argon2idHasher.encode, Argon2idHasher.verify
    monkeypatch.setattr(Argon2idHasher, "encode", lambda *args: made.append("encode") or encode(*args))
    monkeypatch.setattr(Argon2idHasher, "verify", lambda *args: made.append("verify") or verify(*args))
    return made


def test_a_sign_in_with_a_code_computes_exactly_one_slow_hash(slow_hashes, make_user, secret):
    user = make_user()
    assert isinstance(get_hasher(), Argon2idHasher)
    Authenticator.objects.activate(user, secret=secret)
    slow_hashes.clear()
    sign_in_by_all_requests(new_client(), user, code_now(secret))
    assert slow_hashes == ["verify"]


@pytest.mark.parametrize("address", ["ada@example.com", "nobody@example.com"])
def test_a_failed_sign_in_computes_one_slow_hash_for_known_and_unknown_addresses(slow_hashes, make_user, address):
    make_user()
    slow_hashes.clear()
    new_client().post(LOGIN, {"login": address, "password": "wrong-wrong-wrong"})
    assert len(slow_hashes) == 1


@pytest.mark.parametrize("address", ["ada@example.com", "nobody@example.com"])
def test_a_sign_up_computes_one_slow_hash_for_taken_and_free_addresses(slow_hashes, make_user, address):
    make_user()
    slow_hashes.clear()
    new_client().post("/accounts/signup/", {"email": address, "full_name": "Bob", "password1": PASSWORD})
    assert slow_hashes == ["encode"]


@pytest.mark.parametrize("trust_days", [0, 30])
@pytest.mark.parametrize("events", [0, 20])
def test_the_number_of_statements_of_the_settings_page(
    user, authenticator, secret, settings, counted, trust_days, events
):
    settings.TWOFACTOR_TRUST_DAYS = trust_days
    SecurityEvent.objects.bulk_create([SecurityEvent(user=user, kind="turned_on") for _ in range(events)])
    client = sign_in(new_client(), user, code=code_now(secret))
    with counted() as said:
        assert client.get(SETTINGS).status_code == 200
    assert len(said.paid) <= 3 + bool(trust_days), "\n".join(said.paid)


def test_the_middleware_needs_no_extra_statement(user, authenticator, secret, counted):
    client = sign_in(new_client(), user, code=code_now(secret))
    with counted() as said:
        client.get("/nowhere/")
    assert len(said.paid) == 2, "\n".join(said.paid)  # the session, and the user with the authenticator


@pytest.mark.parametrize("path", ["/", LOGIN, "/accounts/signup/", "/nowhere/", SETTINGS])
def test_a_signed_out_request_needs_no_statement(path, counted):
    with counted() as said:
        new_client().get(path)
    assert said.paid == []
