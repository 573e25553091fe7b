"""Page or panel, and where a redirect leads: for every path, decided in one place."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware

from conftest import PASSWORD
from twofactor.htmx import RedirectMiddleware, wants_panel
from twofactor.tests.helpers import (
    CONFIRM,
    DISABLE,
    LOGIN,
    REGENERATE,
    SETTINGS,
    SETUP,
    STATUS,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    age_second_factor,
    code_now,
    give_password,
    is_full_page,
    new_client,
    redirect_target,
    sign_in,
)

OPEN = ["/", LOGIN, "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/",
        "/accounts/password/reset/key/1-x/", "/accounts/confirm-email/x/", "/accounts/inactive/"]  # fmt: skip
OWN = ["/", SETTINGS, SETUP, REGENERATE, DISABLE, f"{DISABLE}?method=backup", CONFIRM, "/accounts/reauthenticate/",
       "/accounts/password/change/", "/accounts/email/", "/accounts/sessions/", "/accounts/logout/"]  # fmt: skip
PANEL = re.compile(r'id="panel"')


def assert_panel(response):
    assert not is_full_page(response)
    assert len(PANEL.findall(response.content.decode())) == 1
    assert "HX-Request" in response["Vary"]


def assert_page(response):
    assert is_full_page(response)
    assert len(PANEL.findall(response.content.decode())) == 1
    assert "HX-Request" in response["Vary"]


# --- Page or panel --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OPEN)
def test_an_open_page_is_whole_and_its_panel_alone(db, path):
    assert_page(new_client().get(path))
    assert_panel(new_client(htmx=True).get(path))


@pytest.mark.parametrize("path", OWN)
def test_a_page_of_ones_own_is_whole_and_its_panel_alone(user, authenticator, secret, path):
    client = sign_in(new_client(), user, code=code_now(secret))
    client.post("/accounts/reauthenticate/", {"password": PASSWORD, "code": code_now(secret, steps_ahead=1)})
    age_second_factor(client, 61)
    assert_page(client.get(path))
    assert_panel(client.get(path, headers={"HX-Request": "true"}))


def test_the_stage_and_the_steps_of_setup_are_pages_and_panels(user, make_user, authenticator):
    client = new_client()
    give_password(client, user)
    assert_page(client.get(VERIFY_LOGIN))
    assert_panel(client.get(f"{VERIFY_LOGIN}?method=backup", headers={"HX-Request": "true"}))
    client = sign_in(new_client(), make_user("bob@example.com"))
    assert_page(client.post(SETUP, {"password": PASSWORD}))
    for path in (SETUP, VERIFY_SETUP):
        assert_page(client.get(path))
        assert_panel(client.get(path, headers={"HX-Request": "true"}))


@pytest.mark.parametrize("path, status", [("/nowhere/", 404), ("/accounts/2fa/nowhere/", 404)])
def test_an_error_is_a_page_and_a_panel_too(user, path, status):
    client = sign_in(new_client(), user)
    for headers, check in (({}, assert_page), ({"HX-Request": "true"}, assert_panel)):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        check(response)


def test_a_form_with_errors_is_a_page_and_a_panel(user):
    client = sign_in(new_client(), user)
    assert_page(client.post(SETUP, {"password": "wrong"}))
    assert_panel(client.post(SETUP, {"password": "wrong"}, headers={"HX-Request": "true"}))


@pytest.mark.parametrize("path", ["/", LOGIN])
def test_htmx_restoring_its_history_gets_a_whole_page(db, path):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert_page(new_client().get(path, headers=headers))


@pytest.mark.parametrize("value", ["false", "", "1", "TRUE"])
def test_only_the_header_of_htmx_makes_a_panel(db, value):
    assert_page(new_client().get(LOGIN, headers={"HX-Request": value}))


def test_a_request_that_no_middleware_touched_wants_a_page():
    assert not wants_panel(RequestFactory().get("/"))


# --- Redirects ------------------------------------------------------------------------------------


def test_a_redirect_is_hx_redirect_with_204_and_its_cookies_survive(user):
    response = give_password(new_client(htmx=True), user)
    assert response.status_code == 204
    assert response["HX-Redirect"] == "/"
    assert "Location" not in response
    assert response.content == b""
    assert response.cookies["sessionid"].value


def test_a_plain_browser_gets_a_plain_redirect(user):
    response = give_password(new_client(), user)
    assert response.status_code == 302
    assert "HX-Redirect" not in response


def test_a_redirect_while_history_is_restored_stays_plain(db):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert new_client().get(SETTINGS, headers=headers).status_code == 302


def answer(response, **headers):
    """What becomes of a view's response on its way to htmx."""
    middleware = HtmxMiddleware(RedirectMiddleware(lambda request: response))
    return middleware(RequestFactory().get("/", headers={"HX-Request": "true", **headers}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_turned(status):
    response = answer(HttpResponse(status=status, headers={"Location": "/there/"}))
    assert (response.status_code, response["HX-Redirect"]) == (204, "/there/")


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 422, 500])
def test_what_is_no_redirect_is_left_alone(status):
    response = answer(HttpResponse(b"text", status=status))
    assert response.status_code == status
    assert "HX-Redirect" not in response


# --- Back to the page that the person was on ------------------------------------------------------


@pytest.mark.parametrize("here, arrives", [
    ("http://testserver/accounts/2fa/", "/accounts/2fa/"),
    ("http://testserver/accounts/email/?a=b&c=d", "/accounts/email/?a=b&c=d"),
    ("https://evil.example/accounts/", STATUS),
    ("http://testserver.evil.example/", STATUS),
    ("http://evil.example@testserver/x/", STATUS),
    ("http://testserver//evil.example/", STATUS),
    ("http://testserver/\\evil.example/", STATUS),
    ("//evil.example/", STATUS),
    ("javascript:alert(1)", STATUS),
    ("http://[", STATUS),
    ("", STATUS),
])  # fmt: skip
def test_sign_in_leads_back_to_the_page_and_to_no_other_host(user, here, arrives):
    response = new_client(htmx=True).get(STATUS, headers={"HX-Current-URL": here})
    target = urlsplit(redirect_target(response))
    assert target.path == LOGIN
    (next_path,) = parse_qs(target.query)["next"]
    assert next_path == arrives
    assert redirect_target(give_password(new_client(), user, next=next_path)) == arrives


def test_a_next_that_is_not_the_fragment_is_kept(db):
    response = HttpResponse(status=302, headers={"Location": f"{LOGIN}?next=/there/"})
    assert answer(response, **{"HX-Current-URL": "http://testserver/here/"})["HX-Redirect"] == f"{LOGIN}?next=/there/"


def test_next_is_taken_from_the_page_at_sign_in_only(user):
    client = sign_in(new_client(htmx=True), user)
    response = client.post("/accounts/logout/", headers={"HX-Current-URL": "http://testserver/accounts/2fa/"})
    assert response["HX-Redirect"] == "/"
