"""Whoever has no password, having signed up by way of another site: the code alone is their proof."""

import time

import pytest

from twofactor.models import Authenticator
from twofactor.tests.helpers import LOGIN, SETUP, code_now, is_signed_in, new_client, redirect_target, wrong_code

DISABLE, REGENERATE = "/accounts/2fa/disable/", "/accounts/2fa/regenerate-backup-codes/"
REAUTHENTICATE, ADMIN = "/accounts/2fa/reauthenticate/", "/admin/twofactor/authenticator/"


@pytest.fixture(autouse=True)
def a_host(settings):
    """This very site signs people in by password alone."""
    settings.ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"
    settings.ACCOUNT_FORMS = {}


@pytest.fixture
def signed_in(make_user):
    """Sign somebody without a password in, as another site would: the session says nothing of when."""

    def make(secret="", **fields):
        user, client = make_user(**fields), new_client()
        user.set_unusable_password()
        user.save()
        if secret:
            Authenticator.objects.activate(user, secret=secret)
        client.force_login(user)
        if secret:
            session = client.session
            session["twofactor"] = {"version": user.authenticator.version, "method": "code", "at": int(time.time())}
            session.save()
        return client

    return make


@pytest.mark.parametrize("path", [DISABLE, REGENERATE, SETUP, REAUTHENTICATE])
def test_five_wrong_codes_in_a_row_end_the_session_lest_a_stolen_one_delays_the_owner(signed_in, secret, path):
    client = signed_in(secret)
    typed = {"code": wrong_code(secret)}
    assert [client.post(path, typed).status_code for _ in range(4)] == [422] * 4
    assert redirect_target(client.post(path, typed)) == LOGIN
    assert not is_signed_in(client)


def test_the_admin_asks_staff_without_a_password_for_a_code(signed_in, user, authenticator, secret):
    staff = signed_in(secret, email="staff@example.com", is_staff=True, is_superuser=True)
    action = {"action": "turn_off", "_selected_action": [authenticator.pk], "reason": "lost everything"}
    page = redirect_target(staff.post(ADMIN, action))
    assert page.startswith(REAUTHENTICATE)
    assert Authenticator.objects.filter(user=user).exists()
    assert redirect_target(staff.post(page, {"code": code_now(secret), "next": ADMIN})) == ADMIN
    staff.post(ADMIN, action)
    assert not Authenticator.objects.filter(user=user).exists()


def test_whoever_must_turn_it_on_and_signed_in_too_long_ago_is_led_out_and_not_in_a_circle(signed_in, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    client = signed_in()
    assert redirect_target(client.get("/accounts/email/")).startswith(SETUP)
    assert redirect_target(client.get(SETUP)) == "/accounts/logout/"
    assert client.get("/accounts/logout/").status_code == 200
