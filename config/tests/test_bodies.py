"""Oversized and unreadable request bodies: a field error or a client error, never a server error."""

import re

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.urls import get_resolver

from config.error_pages import csrf_failure
from config.wsgi import application
from conftest import PASSWORD
from twofactor.models import Authenticator, Limit
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    code_now,
    errors,
    give_password,
    inputs,
    is_signed_in,
    new_client,
    sign_in,
)

MEGABYTES = "1" * 3_000_000
PUBLIC_PATHS = ["/", LOGIN, "/accounts/signup/", "/accounts/password/reset/"]
SIGNED_IN_PATHS = ["/", SETTINGS, SETUP, "/accounts/2fa/disable/", "/accounts/email/", "/accounts/password/change/"]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def pending(user, authenticator):
    """A client with a pending sign-in and CSRF checks."""
    client = new_client(enforce_csrf_checks=True)
    give_password(client, user, csrfmiddlewaretoken=token(client, LOGIN))
    return client


def token(client, path):
    return inputs(client.get(path))["csrfmiddlewaretoken"]["value"]


def post(client, path, **fields):
    """Post the fields URL-encoded and in this order, as a browser does."""
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    return client.post(path, body, content_type=FORM)


@pytest.mark.parametrize("field", ["code", "backup_code"])
def test_a_code_of_three_megabytes_is_a_field_error_and_is_not_charged(pending, field):
    first = token(pending, VERIFY_LOGIN)
    response = post(pending, VERIFY_LOGIN, csrfmiddlewaretoken=first, **{field: MEGABYTES})
    assert response.status_code == 422
    assert errors(response) == {field: ["malformed"]}
    assert inputs(response)[field]["aria-invalid"] == "true"
    assert Authenticator.objects.get().failures == 0
    assert not Limit.objects.filter(pk__startswith="sign_in:").exists()
    assert len(response.content) < 64 * 1024, "the response repeats the input"
    late = post(pending, VERIFY_LOGIN, code=MEGABYTES, csrfmiddlewaretoken=first)
    assert late.status_code == 403, "the body is cut before the token"


@pytest.mark.parametrize("end", ["%C3", "%C", "%"])
def test_a_body_that_ends_inside_a_percent_escape_is_a_field_error(pending, end):
    response = post(pending, VERIFY_LOGIN, csrfmiddlewaretoken=token(pending, VERIFY_LOGIN), code=f"12345{end}")
    assert (response.status_code, errors(response)) == (422, {"code": ["malformed"]})


@pytest.mark.parametrize("length", ["", "0", "-1"])
def test_a_wrong_content_length_is_an_empty_form(db, length):
    response = new_client().generic("POST", LOGIN, b"login=x", content_type=FORM, CONTENT_LENGTH=length)
    assert (response.status_code, errors(response)["login"]) == (422, ["required"])


def test_the_csrf_token_is_the_first_field_of_every_form(user, authenticator):
    signed_out = new_client()
    signed_in = sign_in(new_client(), user, code=code_now(authenticator.secret))
    pages = [signed_out.get(path) for path in PUBLIC_PATHS] + [signed_in.get(path) for path in SIGNED_IN_PATHS]
    forms = [
        form
        for page in pages
        for form in re.findall(r'<form[^>]*method="post".*?</form>', page.content.decode(), re.DOTALL)
    ]
    assert len(forms) > 10
    for form in forms:
        assert re.findall(r'<(?:input|button|select|textarea)[^>]*\bname="([^"]+)"', form)[0] == "csrfmiddlewaretoken"


@pytest.mark.parametrize("where", ["sign-in", "step-up"])
def test_a_password_of_three_megabytes_is_refused_without_hashing(user, monkeypatch, where):
    client = new_client() if where == "sign-in" else sign_in(new_client(), user)
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: pytest.fail("hashed"))
    typed = {"login": user.email, "password": "x" * 3_000_000} if where == "sign-in" else {"password": "x" * 3_000_000}
    response = post(client, LOGIN if where == "sign-in" else SETUP, **typed)
    assert response.status_code in (200, 422)
    assert errors(response)
    assert len(response.content) < 64 * 1024


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "application/json", "text/plain", "application/octet-stream", ""],
)
def test_a_long_body_of_another_content_type_is_refused_unread(db, content_type):
    response = new_client().post(LOGIN, b"x" * 3_000_000, content_type=content_type)
    assert response.status_code == 413


def test_a_body_of_exactly_the_limit_is_not_cut(user, settings):
    client = new_client()
    rest = f"&login={user.email.replace('@', '%40')}&password={PASSWORD}"
    body = "x=" + "y" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE - len(rest) - 2) + rest
    assert len(body) == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    client.post(LOGIN, body, content_type=FORM)
    assert is_signed_in(client)


# --- Bodies that cannot be read -------------------------------------------------------------------

MULTIPART = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="field%d"%s\r\n\r\n1\r\n'
UNREADABLE = {
    "no boundary": ("multipart/form-data", b"x"),
    "a boundary that is not ASCII": ("multipart/form-data; boundary=\xff", b"x"),
    "60 parts": (MULTIPART, b"".join(PART % (n, b"") for n in range(60)) + b"--x--\r\n"),
    "120 files": (MULTIPART, b"".join(PART % (n, b'; filename="f"') for n in range(120)) + b"--x--\r\n"),
    "60 fields": (FORM, b"&".join(b"field%d=x" % n for n in range(60))),
}
ERROR_PAGES = [400, 403, 404, 429, 500]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_body_is_a_client_error_at_any_path(db, kind):
    content_type, body = UNREADABLE[kind]
    client = new_client(enforce_csrf_checks=True, raise_request_exception=False)
    for cookies in ({}, {"csrftoken": "a" * 32}):
        client.cookies.load(cookies)
        for path in ("/nowhere/", "/%00", LOGIN, "/admin/nowhere/"):
            response = client.post(path, body, content_type=content_type)
            assert 400 <= response.status_code < 500, path
            assert response["Content-Security-Policy"]
    if kind == "60 fields":
        assert new_client().post(LOGIN, body, content_type=content_type).status_code == 400


@pytest.mark.parametrize("kind", UNREADABLE)
def test_the_wsgi_application_answers_an_unreadable_body(db, rf, kind):
    content_type, body = UNREADABLE[kind]
    environ = rf.generic("POST", "/nowhere/", body, content_type=content_type, HTTP_COOKIE="csrftoken=" + "a" * 32)
    statuses = []
    b"".join(application(environ.environ, lambda status, headers, exc_info=None: statuses.append(status)))
    assert statuses == ["404 Not Found"]


@pytest.mark.parametrize("status", ERROR_PAGES)
def test_error_pages_do_not_read_the_body(db, rf, status):
    content_type, body = UNREADABLE["60 fields"]
    request = rf.generic("POST", "/", body, content_type=content_type, HTTP_COOKIE="csrftoken=" + "a" * 32)
    page = get_resolver().resolve_error_handler(status)
    arguments = {} if status in (429, 500) else {"exception": Exception("why")}
    assert page(request, **arguments).status_code == status
    assert csrf_failure(request).status_code == 403


def test_the_form_on_an_error_page_works(db):
    client = new_client(enforce_csrf_checks=True)
    first = inputs(client.get("/nowhere/"))["csrfmiddlewaretoken"]["value"]
    assert client.post("/language/", {"language": "de", "csrfmiddlewaretoken": first}).status_code == 302
