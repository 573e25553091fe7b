"""Fuzzing of all forms: no input causes an error page, and malformed codes are not charged."""

from http.cookies import SimpleCookie
from urllib.parse import quote_from_bytes

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.core.cache import cache
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twofactor import backup_codes, totp
from twofactor.models import AuthenticatorApp, BackupCode, Limit, SecondFactor
from twofactor.tests.constants import (
    CONFIRM,
    DISABLE,
    LOGIN,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SECRET,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)
from twofactor.tests.helpers import age_second_factor, code_now, give_password, new_client
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.softkey import SoftKey

pytestmark = pytest.mark.django_db

ADD_PASSKEY = f"{SETTINGS}passkeys/add/"

# No deadline: speed is not tested here. Function-scoped fixtures are safe, since each example is rolled back.
IGNORED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FUZZ = settings(max_examples=30, deadline=None, suppress_health_check=IGNORED)

# Values that have broken forms before, and bytes that are not UTF-8.
UNUSUAL_VALUES = [
    *[b"", b" ", b"\0", b"\0" * 6, b"\xff\xfe", b"\xed\xa0\x80", b"\r\nSet-Cookie: a=b", b"'; DROP TABLE x; --"],
    *["１２３４５６".encode(), "١٢٣٤٥٦".encode(), "¹²³⁴⁵⁶".encode(), "İ@ı.example".encode(), "a@\u2024b".encode()],
    *[b"%00", b"%s%n", b"{{ 7*7 }}", b"<script>", b"//evil.example", b"1" * 70_000, b"-" * 5000, b"9" * 400],
    *[b"123456", b"000000", b"0000-0000-0000-0000", b"a@b.example", b"a@b@c", b"@", b"a@" + b"b" * 300],
]
texts = st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
values = st.one_of(st.sampled_from(UNUSUAL_VALUES), st.binary(max_size=40), texts)

# For each form: the state of the client, the path, and its fields with some that an attacker may add.
FORMS = {
    "sign in": ("signed out", LOGIN, ["login", "password", "remember", "next"]),
    "sign up": ("signed out", "/accounts/signup/", ["email", "full_name", "password1", "next"]),
    "reset the password": ("signed out", "/accounts/password/reset/", ["email", "next"]),
    "a new password": ("signed out", "/accounts/password/reset/key/", ["password1", "password2"]),
    "confirm an address": ("signed out", "/accounts/confirm-email/x:y/", ["key"]),
    "language": ("signed out", "/language/", ["language", "next"]),
    "the admin": ("signed out", "/admin/login/", ["username", "password", "next"]),
    "the stage": ("pending", VERIFY_LOGIN, ["code", "backup_code", "credential", "ceremony", "trust", "next"]),
    "sign in again": ("pending", LOGIN, ["login", "password", "code"]),
    "reauthenticate": ("signed in", REAUTHENTICATE, ["password", "code", "credential", "ceremony", "next"]),
    "change the password": ("signed in", "/accounts/password/change/", ["oldpassword", "password1", "password2"]),
    "change the name": ("signed in", "/accounts/name/", ["full_name"]),
    "delete the account": ("signed in", "/accounts/delete/", ["password", "code", "backup_code"]),
    "addresses": ("signed in", "/accounts/email/", ["email", "action_add", "action_remove", "action_primary"]),
    "new phone": ("signed in", SETUP, ["password", "code", "backup_code"]),
    "new codes": ("signed in", REGENERATE, ["password", "code", "backup_code"]),
    "turn off": ("signed in", DISABLE, ["password", "code", "backup_code"]),
    "confirm": ("signed in long ago", f"{CONFIRM}?next=/", ["code", "backup_code", "next", "unsent"]),
    "add a passkey": ("adding a passkey", ADD_PASSKEY, ["credential", "ceremony", "name", "next"]),
    "verify the setup": ("in a setup", VERIFY_SETUP, ["code"]),
}


def send(client, path, fields):
    body = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in fields)
    response = client.post(path, body, content_type="application/x-www-form-urlencoded")
    assert response.status_code < 500, (path, fields, response.status_code)
    return response.status_code


def client_in_state(user, state):
    """Return a client that is signed out, pending, signed in, or in a setup of an app or a passkey."""
    client = new_client(raise_request_exception=False)
    if state not in ("signed out", "in a setup", "adding a passkey"):
        AuthenticatorApp.objects.activate(user, secret=SECRET)
        add_passkey(user, SoftKey())
    if state != "signed out":
        give_password(client, user)
    if state == "in a setup":
        client.post(SETUP, {"password": PASSWORD})
    if state == "adding a passkey":
        client.post(ADD_PASSKEY, {"password": PASSWORD})
    if state.startswith("signed in"):
        client.post(VERIFY_LOGIN, {"code": code_now(SECRET)})
        age_second_factor(client, 3600 if state == "signed in long ago" else 0)
    return client


@pytest.fixture(params=FORMS)
def form(request, user):
    state, path, names = FORMS[request.param]
    client = client_in_state(user, state)
    if request.param == "a new password":
        link = f"{path}{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}/"
        path = client.get(link).headers["Location"]
    return client, path, names


@FUZZ
@given(data=st.data())
def test_no_field_value_causes_an_error_page(form, data):
    client, path, names = form
    fields = data.draw(st.lists(st.tuples(st.sampled_from(names), values), max_size=len(names) + 1))
    cookies = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        send(client, path, fields)
        transaction.set_rollback(True)
    # Reset the limits of allauth and the session for the next example.
    cache.clear()
    client.cookies = SimpleCookie(cookies)


@FUZZ
@given(next_page=values, current=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_no_header_or_query_causes_an_error_page(next_page, current):
    client = new_client(htmx=True, raise_request_exception=False)
    address = f"{LOGIN}?next={quote_from_bytes(next_page)}&method={quote_from_bytes(next_page)}"
    headers = dict.fromkeys(["HX-Current-URL", "HX-Target", "Accept-Language", "User-Agent"], current)
    for path in (address, VERIFY_LOGIN, SETUP):
        assert client.get(path, headers=headers).status_code < 500


def counters():
    rows = SecondFactor.objects.values("failures", "delayed_until", "budget_spent", "app__last_time_step")
    return list(rows), list(Limit.objects.values()), BackupCode.objects.filter(used_at=None).count()


@pytest.fixture
def pending(user):
    return client_in_state(user, "pending")


@FUZZ
@given(typed=values)
@example(typed="¹²³⁴⁵⁶".encode())
@example(typed=b"1234567")
@example(typed=b"0000-0000-0000-000")
@example(typed=b"UUUU-UUUU-UUUU-UUUU")
def test_a_malformed_code_or_backup_code_is_never_charged(pending, typed):
    text = typed.decode("utf-8", "replace").strip()
    before = counters()
    for field, normalize in [("code", totp.normalize), ("backup_code", backup_codes.normalize)]:
        if normalize(text) is None:
            assert send(pending, VERIFY_LOGIN, [(field, typed)]) in (413, 422)  # 413: over 64 KiB
    assert counters() == before
