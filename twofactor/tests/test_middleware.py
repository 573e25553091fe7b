"""The middleware: the session check, required 2FA, and the sign-in pages of admin sites."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin import AdminSite
from django.urls import include, path

from twofactor.tests.constants import CHANGE_PASSWORD, EMAIL, HTMX, LOGIN, LOGOUT, PASSWORD, SETTINGS, SETUP
from twofactor.tests.helpers import is_signed_in, sign_in
from twofactor.tests.responses import redirect_target

# A site with a second admin site.
urlpatterns = [path("bare/", AdminSite("bare").urls), path("", include("twofactor.tests.urls"))]


@pytest.mark.parametrize("mark", [None, {}, {"version": "another"}, {"version": None}])
def test_a_session_without_the_current_version_is_signed_out(signed_out_client, user, second_factor, mark):
    """Without a mark it is from before 2FA was turned on, or from a `login()` that bypassed the stage."""
    signed_out_client.force_login(user)
    if mark is not None:
        session = signed_out_client.session
        session["twofactor"] = mark
        session.save()
    assert redirect_target(signed_out_client.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(signed_out_client)


def test_a_session_from_before_2fa_was_turned_off_is_signed_out(client_with_2fa, second_factor):
    second_factor.turn_off()
    assert redirect_target(client_with_2fa.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(client_with_2fa)


@pytest.mark.parametrize("required, is_redirected", [("none", False), ("all", True)])
def test_a_user_who_is_required_to_have_2fa_is_redirected_to_setup(signed_in_client, settings, required, is_redirected):
    settings.TWOFACTOR_REQUIRED = required
    for page in (SETTINGS, "/", CHANGE_PASSWORD, EMAIL, "/nowhere/"):
        assert redirect_target(signed_in_client.get(page)).startswith(SETUP) is is_redirected
    assert [signed_in_client.get(page).status_code for page in (SETUP, LOGOUT)] == [200, 200]
    signed_in_client.post(LOGOUT)
    assert not is_signed_in(signed_in_client)


def test_a_required_user_with_2fa_is_not_redirected(client_with_2fa, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    assert client_with_2fa.get(SETTINGS).status_code == 200


def test_required_2fa_allows_the_page_for_verifying_an_address(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    EmailAddress.objects.update(verified=False)
    assert not redirect_target(signed_in_client.get(EMAIL)).startswith(SETUP)
    assert redirect_target(signed_in_client.get(CHANGE_PASSWORD)).startswith(SETUP)


@pytest.mark.parametrize("days_ago, is_redirected", [(6, False), (8, True)])
def test_grace_days_delay_the_requirement(signed_out_client, user, settings, days_ago, is_redirected):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_GRACE_DAYS = 7
    user.date_joined -= timedelta(days=days_ago)
    user.save()
    response = sign_in(signed_out_client, user).get(SETTINGS)
    assert redirect_target(response).startswith(SETUP) is is_redirected
    assert response.wsgi_request.twofactor_due == user.date_joined + timedelta(days=7)


@pytest.mark.parametrize("paths", [["/accounts/sessions/"], "/accounts/sessions/"])
def test_exempt_paths_are_not_redirected(signed_in_client, settings, paths):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_EXEMPT_PATHS = paths
    assert signed_in_client.get("/accounts/sessions/").status_code == 200
    assert redirect_target(signed_in_client.get(CHANGE_PASSWORD)).startswith(SETUP)


@pytest.mark.parametrize("headers, expected", [
    ({}, "/accounts/email/?a=b"), ({**HTMX, "HX-Boosted": "true", "HX-Target": "panel"}, "/accounts/email/?a=b"),
    ({**HTMX, "HX-Current-URL": "http://testserver/accounts/sessions/"}, "/accounts/sessions/"),
])  # fmt: skip
def test_the_redirect_to_setup_has_next(signed_in_client, settings, headers, expected):
    settings.TWOFACTOR_REQUIRED = "all"
    target = urlsplit(redirect_target(signed_in_client.get("/accounts/email/?a=b", headers=headers)))
    assert (target.path, parse_qs(target.query)) == (SETUP, {"next": [expected]})


def test_the_login_page_of_another_admin_redirects_to_the_login_with_a_code(signed_out_client, make_user, settings):
    settings.ROOT_URLCONF = __name__
    superuser = make_user(is_staff=True, is_superuser=True)
    assert redirect_target(signed_out_client.get("/bare/login/?next=/bare/")) == f"{LOGIN}?next=%2Fbare%2F"
    typed = {"username": superuser.email, "password": PASSWORD, "next": "/bare/"}
    assert redirect_target(signed_out_client.post("/bare/login/", typed)).startswith(LOGIN)
    assert not is_signed_in(signed_out_client)


def test_a_signed_in_user_gets_403_from_the_login_page_of_another_admin(signed_in_client, settings):
    settings.ROOT_URLCONF = __name__
    assert signed_in_client.get("/bare/login/").status_code == 403
