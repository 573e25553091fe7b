"""Every page of the site is a whole page, or over HTMX a panel. twofactor/tests/test_htmx.py tests the app's pages."""

import re

import pytest

from twofactor.tests.constants import LOGIN, PASSWORD
from twofactor.tests.helpers import code_now, is_full_page, new_client, sign_in

PUBLIC = ["/", LOGIN, "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/",
          "/accounts/password/reset/key/1-x/", "/accounts/confirm-email/x/", "/accounts/inactive/"]  # fmt: skip
SIGNED_IN = ["/", "/accounts/password/change/", "/accounts/email/", "/accounts/sessions/", "/accounts/logout/"]
PANEL = re.compile(r'id="panel"')


def assert_panel(response):
    assert not is_full_page(response)
    assert len(PANEL.findall(response.content.decode())) == 1
    assert "HX-Request" in response["Vary"]


def assert_page(response):
    assert is_full_page(response)
    assert len(PANEL.findall(response.content.decode())) == 1
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_path_is_a_page_or_a_panel(db, path):
    assert_page(new_client().get(path))
    assert_panel(new_client(htmx=True).get(path))


@pytest.mark.parametrize("path", SIGNED_IN)
def test_a_path_for_signed_in_users_is_a_page_or_a_panel(user, authenticator, secret, path):
    client = sign_in(new_client(), user, code=code_now(secret))
    client.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD, "code": code_now(secret, steps_ahead=1)})
    assert_page(client.get(path))
    assert_panel(client.get(path, headers={"HX-Request": "true"}))


@pytest.mark.parametrize("path, status", [("/nowhere/", 404), ("/accounts/2fa/nowhere/", 404)])
def test_an_error_is_a_page_or_a_panel(user, path, status):
    client = sign_in(new_client(), user)
    for headers, check in (({}, assert_page), ({"HX-Request": "true"}, assert_panel)):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        check(response)
