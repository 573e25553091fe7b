"""The number of SQL statements and slow password hashes of a sign-in and of the settings page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.hashers import Argon2idHasher
from twofactor.models import AuthenticatorApp, SecurityEvent
from twofactor.tests.constants import LOGIN, LOGOUT, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in
from twofactor.tests.passkeys import add_passkey, sign
from twofactor.tests.responses import redirect_target

TRANSACTION_STATEMENTS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


@pytest.fixture
def statements(db):
    """Return a function that lists the statements of a call, without those that begin or end transactions."""

    def listed(call, *arguments):
        with CaptureQueriesContext(connection) as captured:
            call(*arguments)
        sql = [query["sql"] for query in captured.captured_queries]
        return [statement for statement in sql if not statement.upper().startswith(TRANSACTION_STATEMENTS)]

    return listed


def sign_in_by_all_requests(client, user, code):
    """Sign in with all requests of a browser, up to the page after it."""
    client.get(LOGIN)
    if target := redirect_target(give_password(client, user)):
        client.get(target)
    response = client.post(VERIFY_LOGIN, {"code": code})
    assert client.get(redirect_target(response)).status_code == 200


# With htmx the answer to the password has the code form; without htmx it takes another request.
@pytest.mark.parametrize("htmx, limit", [(True, 29), (False, 32)])
def test_the_number_of_statements_of_a_sign_in_with_a_code(user, second_factor, secret, statements, htmx, limit):
    client = new_client(htmx=htmx)
    code = code_now(secret)
    for _ in range(2):  # The second time in the same browser takes no more.
        assert len(statements(sign_in_by_all_requests, client, user, code)) <= limit
        assert is_signed_in(client)
        client.post(LOGOUT)
        AuthenticatorApp.objects.update(last_time_step=-1)


def sign_in_with_passkey(client, user, key):
    """Sign in with all requests of a browser, up to the page after it."""
    client.get(LOGIN)
    page = give_password(client, user)
    if target := redirect_target(page):
        page = client.get(target)
    response = client.post(VERIFY_LOGIN, sign(key, page.context["form"]))
    assert client.get(redirect_target(response)).status_code == 200


@pytest.mark.parametrize("htmx", [True, False])
def test_a_passkey_takes_no_more_statements_than_a_code(user, second_factor, secret, key, statements, htmx):
    code = code_now(secret)
    sign_in_by_all_requests(new_client(htmx=htmx), user, code)  # creates the limits of the source
    AuthenticatorApp.objects.update(last_time_step=-1)
    by_code = statements(sign_in_by_all_requests, new_client(htmx=htmx), user, code)
    add_passkey(user, key)
    by_passkey = statements(sign_in_with_passkey, new_client(htmx=htmx), user, key)
    assert len(by_passkey) <= len(by_code)


def test_a_sign_in_with_a_code_computes_exactly_one_slow_hash(real_hasher, user, second_factor, secret, monkeypatch):
    made, verify = [], Argon2idHasher.verify
    monkeypatch.setattr(Argon2idHasher, "encode", lambda *args: made.append("encode"))
    monkeypatch.setattr(Argon2idHasher, "verify", lambda *args: made.append("verify") or verify(*args))
    sign_in_by_all_requests(new_client(), user, code_now(secret))
    assert made == ["verify"]


@pytest.mark.parametrize("path, days, expected", [
    (SETTINGS, 0, 5), (SETTINGS, 30, 6),
    ("/", 0, 3),
    ("/nowhere/", 0, 2),  # the session, and the user with the second factor
])  # fmt: skip
def test_the_number_of_statements_of_a_page(user, second_factor, secret, settings, statements, path, days, expected):
    settings.TWOFACTOR_TRUST_DAYS = days
    SecurityEvent.objects.bulk_create([SecurityEvent(user=user, kind="turned_on") for _ in range(20)])
    client = sign_in(new_client(), user, code=code_now(secret))
    assert len(statements(client.get, path)) == expected


@pytest.mark.parametrize("path", ["/", LOGIN, "/accounts/signup/", "/nowhere/", SETTINGS])
def test_a_signed_out_request_needs_no_statement(path, statements):
    assert statements(new_client().get, path) == []
