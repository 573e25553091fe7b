"""Oversized, incomplete and unreadable request bodies: a client error, never a server error."""

from io import BytesIO
from itertools import product

import pytest
from django.urls import get_resolver

from config.error_pages import csrf_failure
from twofactor.tests.constants import LOGIN, PASSWORD, VERIFY_LOGIN
from twofactor.tests.helpers import give_password, is_signed_in, new_client, sign_in
from twofactor.tests.responses import errors, inputs

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"


@pytest.mark.parametrize("kind", [FORM, MULTIPART, "application/json", "text/plain", ""])
def test_a_body_over_the_limit_gets_the_413_page_without_a_statement(user, settings, django_assert_num_queries, kind):
    client = sign_in(new_client(), user)
    with django_assert_num_queries(0):
        response = client.post(LOGIN, b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1), content_type=kind)
    assert response.status_code == 413
    assert b"Request too large" in response.content
    assert b"<html" in response.content


def test_over_htmx_the_413_page_is_a_panel_in_the_users_language(db, settings):
    client = new_client(htmx=True)
    response = client.post(LOGIN, {"login": "x" * 70_000}, headers={"Accept-Language": "de"})
    assert response.status_code == 413
    assert b"<html" not in response.content
    assert b'id="panel"' in response.content
    assert response["Content-Language"] == "de"


def test_a_body_of_exactly_the_limit_is_accepted(user, settings):
    client = new_client()
    rest = f"&login={user.email.replace('@', '%40')}&password={PASSWORD}"
    body = "x=".ljust(settings.DATA_UPLOAD_MAX_MEMORY_SIZE - len(rest), "y") + rest
    client.post(LOGIN, body, content_type=FORM)
    assert is_signed_in(client)


@pytest.mark.parametrize("content_type", [FORM, MULTIPART])
@pytest.mark.parametrize("length", ["1000", "abc"])
def test_a_body_of_another_length_than_announced_is_refused(user, content_type, length):
    body = f"login={user.email.replace('@', '%40')}&password={PASSWORD}"
    sent = {"wsgi.input": BytesIO(body.encode()), "CONTENT_LENGTH": length}
    response = new_client().post(LOGIN, body, content_type=content_type, **sent)
    assert response.status_code == 400
    assert b"read that request" in response.content


@pytest.mark.parametrize("end", ["%C3", "%C", "%"])
def test_a_body_that_ends_inside_a_percent_escape_is_a_field_error(user, second_factor, end):
    client = new_client()
    give_password(client, user)
    response = client.post(VERIFY_LOGIN, f"code=12345{end}", content_type=FORM)
    assert (response.status_code, errors(response)) == (422, {"code": ["malformed"]})


@pytest.mark.parametrize("length", ["", "0", "-1"])
def test_a_missing_or_negative_content_length_is_an_empty_form(db, length):
    response = new_client().generic("POST", LOGIN, b"login=x", content_type=FORM, CONTENT_LENGTH=length)
    assert (response.status_code, errors(response)["login"]) == (422, ["required"])


PART = b'--x\r\nContent-Disposition: form-data; name="field%d"%s\r\n\r\n1\r\n'
UNREADABLE = {
    "no boundary": ("multipart/form-data", b"x"),
    "a boundary that is not ASCII": ("multipart/form-data; boundary=\xff", b"x"),
    "60 parts": (MULTIPART, b"".join(PART % (n, b"") for n in range(60)) + b"--x--\r\n"),
    "120 files": (MULTIPART, b"".join(PART % (n, b'; filename="f"') for n in range(120)) + b"--x--\r\n"),
    "60 fields": (FORM, b"&".join(b"field%d=x" % n for n in range(60))),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_body_is_a_client_error_at_any_path(db, kind):
    content_type, body = UNREADABLE[kind]
    client = new_client(enforce_csrf_checks=True, raise_request_exception=False)
    for cookies, path in product(({}, {"csrftoken": "a" * 32}), ("/nowhere/", "/%00", LOGIN, "/admin/nowhere/")):
        client.cookies.load(cookies)
        response = client.post(path, body, content_type=content_type)
        assert 400 <= response.status_code < 500, path
        assert response["Content-Security-Policy"]
    if kind == "60 fields":
        assert new_client().post(LOGIN, body, content_type=content_type).status_code == 400


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
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
