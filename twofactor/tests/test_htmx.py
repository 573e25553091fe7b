"""Page or panel, and HX-Redirect: one function each decides for every path."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware

from twofactor.htmx import HtmxRedirectMiddleware, wants_panel
from twofactor.tests.constants import (
    CODE_PAGES,
    DISABLE,
    EMAIL,
    HTMX,
    LOGIN,
    LOST,
    PASSWORD,
    REAUTHENTICATE,
    SETTINGS,
    SETUP,
    STATUS,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)
from twofactor.tests.helpers import age_second_factor, give_password, new_client
from twofactor.tests.hosts.pages import DELETE, HOST
from twofactor.tests.responses import is_full_page, redirect_target

HISTORY_RESTORE = {**HTMX, "HX-History-Restore-Request": "true"}


def through_middleware(response, **headers):
    return HtmxMiddleware(HtmxRedirectMiddleware(lambda request: response))(RequestFactory().get("/", headers=headers))


@pytest.mark.parametrize("headers, is_panel", [
    (HTMX, True), ({}, False), ({"HX-Request": "false"}, False), ({"HX-Request": ""}, False),
    ({"HX-Request": "TRUE"}, False), (HISTORY_RESTORE, False), ({**HTMX, "HX-Boosted": "true"}, False),
    ({**HTMX, "HX-Boosted": "true", "HX-Target": "panel"}, True),
])  # fmt: skip
def test_htmx_gets_a_panel_unless_it_restores_its_history_or_boosts_another_element(headers, is_panel):
    request = RequestFactory().get("/", headers=headers)
    assert not wants_panel(request)  # without HtmxMiddleware
    HtmxMiddleware(lambda request: HttpResponse())(request)
    assert wants_panel(request) is is_panel


def assert_page_or_panel(client, path):
    for headers, is_page in (({}, True), (HTMX, False)):
        response = client.get(path, headers=headers)
        assert is_full_page(response) is is_page
        assert response.content.count(b'id="panel"') == 1
        assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("path", [SETTINGS, LOST, *CODE_PAGES])
def test_a_path_for_signed_in_users_is_a_page_or_a_panel(client_with_2fa, path):
    age_second_factor(client_with_2fa, 61)
    assert_page_or_panel(client_with_2fa, path)


def test_the_stage_and_the_setup_are_pages_or_panels(pending_client, make_user):
    assert_page_or_panel(pending_client, VERIFY_LOGIN)
    client = new_client()
    give_password(client, make_user("bob@example.com"))
    client.post(SETUP, {"password": PASSWORD})
    for path in (SETUP, VERIFY_SETUP):
        assert_page_or_panel(client, path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_becomes_204_with_hx_redirect_and_keeps_its_cookies(status):
    redirect = HttpResponse(b"text", status=status, headers={"Location": "/there/"})
    redirect.set_cookie("sessionid", "x")
    response = through_middleware(redirect, **HTMX)
    assert (response.status_code, response["HX-Redirect"], response.content) == (204, "/there/", b"")
    assert "Location" not in response
    assert response.cookies["sessionid"].value == "x"


@pytest.mark.parametrize("headers", [{}, HISTORY_RESTORE])
def test_other_redirects_are_unchanged(headers):
    response = through_middleware(HttpResponse(status=302, headers={"Location": "/there/"}), **headers)
    assert (response.status_code, response["Location"]) == (302, "/there/")
    assert "HX-Redirect" not in response


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 422, 500])
def test_a_response_that_is_not_a_redirect_is_unchanged(status):
    response = through_middleware(HttpResponse(b"text", status=status), **HTMX)
    assert response.status_code == status
    assert "HX-Redirect" not in response


@pytest.fixture
def htmx_client(signed_in_client):
    signed_in_client.defaults["HTTP_HX_REQUEST"] = "true"
    return signed_in_client


def hx_redirect_path(response):
    assert response.status_code == 204
    assert "HX-Request" in response["Vary"]
    return urlsplit(response["HX-Redirect"]).path


def test_the_apps_pages_send_signed_out_users_to_sign_in_with_hx_redirect(db):
    client = new_client(htmx=True)
    for path in (SETTINGS, STATUS, *CODE_PAGES, VERIFY_LOGIN):
        assert hx_redirect_path(client.get(path)) == hx_redirect_path(client.post(path)) == LOGIN


def test_the_apps_views_redirect_with_hx_redirect(htmx_client):
    assert hx_redirect_path(htmx_client.get(DISABLE)) == SETTINGS
    assert hx_redirect_path(htmx_client.post(VERIFY_SETUP)) == SETUP
    assert hx_redirect_path(htmx_client.post(REAUTHENTICATE, {"password": PASSWORD, "next": EMAIL})) == EMAIL


def test_a_response_that_is_raised_is_sent_with_hx_redirect(htmx_client):
    responses = [htmx_client.post(SETUP, {"password": "wrong"}) for _ in range(10)]
    assert [response.status_code for response in responses[:9]] == [422] * 9
    assert hx_redirect_path(responses[-1]) == LOGIN


def test_the_middlewares_own_redirects_are_sent_with_hx_redirect(htmx_client, settings):
    assert hx_redirect_path(htmx_client.post(EMAIL, {"email": "a@example.com", "action_add": ""})) == REAUTHENTICATE
    assert hx_redirect_path(new_client(htmx=True).get("/admin/login/")) == LOGIN
    settings.TWOFACTOR_REQUIRED = "all"
    assert hx_redirect_path(htmx_client.get(HOST)) == SETUP


def test_the_redirects_of_other_views_are_unchanged(client_with_2fa):
    response = client_with_2fa.post(DELETE, {"note": "old"}, headers=HTMX)
    assert (response.status_code, response["Location"]) == (302, HOST)


@pytest.mark.parametrize("current_url, expected", [
    ("http://testserver/accounts/email/?a=b&c=d", "/accounts/email/?a=b&c=d"),
    ("https://evil.example/accounts/", STATUS), ("http://testserver.evil.example/", STATUS),
    ("http://evil.example@testserver/x/", STATUS), ("http://testserver//evil.example/", STATUS),
    ("http://testserver/\\evil.example/", STATUS), ("//evil.example/", STATUS), ("javascript:alert(1)", STATUS),
    ("http://[", STATUS), ("", STATUS),
])  # fmt: skip
def test_login_redirects_back_to_the_current_page_and_to_no_other_host(db, current_url, expected):
    response = new_client(htmx=True).get(STATUS, headers={"HX-Current-URL": current_url})
    target = urlsplit(redirect_target(response))
    assert (target.path, parse_qs(target.query)["next"]) == (LOGIN, [expected])


@pytest.mark.parametrize("location", [f"{LOGIN}?next=/there/", "/elsewhere/?next=/", "/"])
def test_only_the_next_of_a_login_redirect_from_the_requested_path_is_replaced(location):
    response = HttpResponse(status=302, headers={"Location": location})
    headers = {**HTMX, "HX-Current-URL": "http://testserver/here/"}
    assert through_middleware(response, **headers)["HX-Redirect"] == location
