"""Page or panel, and HX-Redirect: one function decides for every path."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware

from twofactor.htmx import HtmxRedirectMiddleware, wants_panel
from twofactor.tests.helpers import (
    CONFIRM,
    DISABLE,
    LOGIN,
    PASSWORD,
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
from twofactor.tests.hosts.pages import DELETE, HOST, ROW

SIGNED_IN = [SETTINGS, SETUP, REGENERATE, DISABLE, f"{DISABLE}?method=backup", CONFIRM, "/accounts/2fa/reauthenticate/"]
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


@pytest.mark.parametrize("path", SIGNED_IN)
def test_a_path_for_signed_in_users_is_a_page_or_a_panel(user, authenticator, secret, path):
    client = sign_in(new_client(), user, code=code_now(secret))
    client.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD, "code": code_now(secret, steps_ahead=1)})
    age_second_factor(client, 61)
    assert_page(client.get(path))
    assert_panel(client.get(path, headers={"HX-Request": "true"}))


def test_the_stage_and_the_setup_steps_are_pages_or_panels(user, make_user, authenticator):
    client = new_client()
    give_password(client, user)
    assert_page(client.get(VERIFY_LOGIN))
    assert_panel(client.get(f"{VERIFY_LOGIN}?method=backup", headers={"HX-Request": "true"}))
    client = sign_in(new_client(), make_user("bob@example.com"))
    assert_page(client.post(SETUP, {"password": PASSWORD}))
    for path in (SETUP, VERIFY_SETUP):
        assert_page(client.get(path))
        assert_panel(client.get(path, headers={"HX-Request": "true"}))


def test_a_form_with_errors_is_a_page_or_a_panel(user):
    client = sign_in(new_client(), user)
    assert_page(client.post(SETUP, {"password": "wrong"}))
    assert_panel(client.post(SETUP, {"password": "wrong"}, headers={"HX-Request": "true"}))


def test_a_history_restore_gets_a_full_page(client_with_2fa):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert_page(client_with_2fa.get(SETTINGS, headers=headers))


@pytest.mark.parametrize("value", ["false", "", "1", "TRUE"])
def test_only_the_exact_htmx_header_gives_a_panel(user, value):
    assert_page(sign_in(new_client(), user).get(SETUP, headers={"HX-Request": value}))


def test_a_request_without_htmx_middleware_gets_a_page():
    assert not wants_panel(RequestFactory().get("/"))


@pytest.fixture
def redirect_middleware(settings):
    position = settings.MIDDLEWARE.index("allauth.account.middleware.AccountMiddleware")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE]
    settings.MIDDLEWARE.insert(position, "twofactor.htmx.HtmxRedirectMiddleware")


# --- Redirects ------------------------------------------------------------------------------------


def test_a_redirect_becomes_204_with_hx_redirect_and_keeps_its_cookies(redirect_middleware, user):
    response = give_password(new_client(htmx=True), user)
    assert response.status_code == 204
    assert response["HX-Redirect"] == "/"
    assert "Location" not in response
    assert response.content == b""
    assert response.cookies["sessionid"].value


def test_without_htmx_a_redirect_is_unchanged(redirect_middleware, user):
    response = give_password(new_client(), user)
    assert response.status_code == 302
    assert "HX-Redirect" not in response


def test_a_redirect_of_a_history_restore_is_unchanged(db):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert new_client().get(SETTINGS, headers=headers).status_code == 302


def through_middleware(response, **headers):
    """Pass a view's response through the middleware, as for a request of htmx."""
    middleware = HtmxMiddleware(HtmxRedirectMiddleware(lambda request: response))
    return middleware(RequestFactory().get("/", headers={"HX-Request": "true", **headers}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_redirect_status_is_converted(status):
    response = through_middleware(HttpResponse(status=status, headers={"Location": "/there/"}))
    assert (response.status_code, response["HX-Redirect"]) == (204, "/there/")


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 422, 500])
def test_a_response_that_is_not_a_redirect_is_unchanged(status):
    response = through_middleware(HttpResponse(b"text", status=status))
    assert response.status_code == status
    assert "HX-Redirect" not in response


# --- A site without HtmxRedirectMiddleware --------------------------------------------------------

ADMIN_LOGIN = "/admin/login/"
EMAIL = "/accounts/email/"
REAUTHENTICATE = "/accounts/2fa/reauthenticate/"


@pytest.fixture
def htmx_client(user):
    """Signed in, with the header of htmx; 2FA is off."""
    return sign_in(new_client(htmx=True), user)


def hx_redirect_path(response):
    assert response.status_code == 204
    assert "HX-Request" in response["Vary"]
    return urlsplit(response["HX-Redirect"]).path


@pytest.mark.parametrize("path", [SETTINGS, STATUS, SETUP, DISABLE, CONFIRM, REAUTHENTICATE, VERIFY_LOGIN])
def test_the_apps_pages_send_signed_out_users_to_sign_in_with_hx_redirect(db, path):
    for method in (new_client(htmx=True).get, new_client(htmx=True).post):
        assert hx_redirect_path(method(path)) == LOGIN


def test_the_apps_views_redirect_with_hx_redirect(htmx_client):
    assert hx_redirect_path(htmx_client.get(DISABLE)) == SETTINGS
    assert hx_redirect_path(htmx_client.post(VERIFY_SETUP)) == SETUP
    assert hx_redirect_path(htmx_client.post(REAUTHENTICATE, {"password": PASSWORD, "next": EMAIL})) == EMAIL


def test_the_stage_signs_in_with_hx_redirect(user, authenticator, secret):
    client = new_client(htmx=True)
    give_password(client, user)
    response = client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert hx_redirect_path(response) == "/"
    assert response.cookies["sessionid"].value
    assert hx_redirect_path(client.get(VERIFY_LOGIN)) == "/"


def test_a_response_that_is_raised_is_sent_with_hx_redirect(htmx_client):
    for _ in range(9):
        assert htmx_client.post(SETUP, {"password": "wrong"}).status_code == 422
    assert hx_redirect_path(htmx_client.post(SETUP, {"password": "wrong"})) == LOGIN


def test_the_middlewares_own_redirects_are_sent_with_hx_redirect(htmx_client, settings):
    assert hx_redirect_path(htmx_client.post(EMAIL, {"email": "a@example.com", "action_add": ""})) == REAUTHENTICATE
    assert hx_redirect_path(new_client(htmx=True).get(ADMIN_LOGIN)) == LOGIN
    settings.TWOFACTOR_REQUIRED = "all"
    assert hx_redirect_path(htmx_client.get(HOST)) == SETUP


def test_the_decorator_for_other_views_redirects_with_hx_redirect(htmx_client):
    assert hx_redirect_path(htmx_client.get(ROW)) == SETUP


def test_the_redirects_of_other_views_are_unchanged(user, authenticator, secret):
    client = new_client(htmx=True)
    assert client.post("/accounts/logout/").status_code == 302
    give_password(client, user)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    response = client.post(DELETE, {"note": "old"})
    assert (response.status_code, response["Location"]) == (302, HOST)


# --- Back to the current page ---------------------------------------------------------------------


@pytest.mark.parametrize("current_url, expected", [
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
def test_login_redirects_back_to_the_current_page_and_to_no_other_host(user, current_url, expected):
    response = new_client(htmx=True).get(STATUS, headers={"HX-Current-URL": current_url})
    target = urlsplit(redirect_target(response))
    assert target.path == LOGIN
    (next_path,) = parse_qs(target.query)["next"]
    assert next_path == expected
    assert redirect_target(give_password(new_client(), user, next=next_path)) == expected


def test_a_next_that_is_not_the_requested_path_is_kept(db):
    response = HttpResponse(status=302, headers={"Location": f"{LOGIN}?next=/there/"})
    assert (
        through_middleware(response, **{"HX-Current-URL": "http://testserver/here/"})["HX-Redirect"]
        == f"{LOGIN}?next=/there/"
    )


def test_next_is_replaced_for_login_redirects_only(redirect_middleware, user):
    client = sign_in(new_client(htmx=True), user)
    response = client.post("/accounts/logout/", headers={"HX-Current-URL": "http://testserver/accounts/2fa/"})
    assert response["HX-Redirect"] == "/"
