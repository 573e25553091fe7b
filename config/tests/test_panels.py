"""Every page of the site is a whole page, or over HTMX a panel. twofactor/tests/test_htmx.py tests the app's pages."""

import pytest

from twofactor.tests.constants import LOGIN, PASSWORD
from twofactor.tests.helpers import code_now, new_client, sign_in
from twofactor.tests.responses import is_full_page

PUBLIC = ["/", LOGIN, "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/",
          "/accounts/password/reset/key/1-x/", "/accounts/confirm-email/x/", "/accounts/inactive/"]  # fmt: skip
SIGNED_IN = [
    "/",
    "/accounts/name/",
    "/accounts/delete/",
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/sessions/",
    "/accounts/logout/",
]


def assert_page_or_panel(client, path, status=200):
    for headers, is_page in (({}, True), ({"HX-Request": "true"}, False)):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        assert is_full_page(response) is is_page
        assert response.content.count(b'id="panel"') == 1
        assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_path_is_a_page_or_a_panel(db, path):
    assert_page_or_panel(new_client(), path)


@pytest.mark.parametrize("path", SIGNED_IN)
def test_a_path_for_signed_in_users_is_a_page_or_a_panel(user, second_factor, secret, path):
    client = sign_in(new_client(), user, code=code_now(secret))
    client.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD, "code": code_now(secret, steps_ahead=1)})
    assert_page_or_panel(client, path)


@pytest.mark.parametrize("path", ["/nowhere/", "/accounts/2fa/nowhere/"])
def test_an_error_is_a_page_or_a_panel(user, path):
    assert_page_or_panel(sign_in(new_client(), user), path, 404)
