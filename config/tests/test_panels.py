"""Every page of the site is a whole page, or over HTMX a panel. twofactor/tests/test_htmx.py tests the app's pages."""

import re

import pytest
from django.utils import timezone

from twofactor.tests.constants import ACTIVITY, LOGIN, NOT_ME, PASSWORD, SETTINGS
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


@pytest.mark.parametrize("path, tab", [
    ("/", "Account"), ("/accounts/name/", "Account"), ("/accounts/delete/", "Account"),
    (SETTINGS, "Security"), (ACTIVITY, "Security"), (NOT_ME, "Security"),
    ("/accounts/sessions/", "Security"), ("/accounts/password/change/", "Security"), ("/accounts/email/", "Email"),
])  # fmt: skip
def test_each_page_of_the_account_shows_its_tab_as_the_current_one(user, path, tab):
    page = sign_in(new_client(), user).get(path).content.decode()
    assert re.findall(r'aria-current="page">(\w+)<', page) == [tab]


@pytest.mark.parametrize("left, words", [(4, None), (3, "3 backup codes left."), (0, "no backup codes left.")])
def test_the_account_page_warns_of_few_backup_codes(user, second_factor, secret, left, words):
    client = sign_in(new_client(), user, code=code_now(secret))
    kept = second_factor.backup_codes.values_list("pk", flat=True)[:left]
    second_factor.backup_codes.exclude(pk__in=[*kept]).update(used_at=timezone.now())
    assert re.findall(r"You have (.*? left\.)", client.get("/").content.decode()) == [words] * (words is not None)
