"""Users without a password, for example after social sign-up: the code alone is their step-up."""

import time

import pytest

from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import CODE_PAGES, LOGIN, LOGOUT, REAUTHENTICATE, SETUP
from twofactor.tests.helpers import age_second_factor, code_now, is_signed_in, new_client, wrong_code
from twofactor.tests.responses import message_levels, redirect_target

ADMIN = "/admin/twofactor/secondfactor/"


@pytest.fixture
def make_signed_in_client(make_user):
    """Make a client for a user without a password; the session has no time of sign-in."""

    def make(secret="", **fields):
        user, client = make_user(**fields), new_client()
        user.set_unusable_password()
        user.save()
        if secret:
            AuthenticatorApp.objects.activate(user, secret=secret)
        client.force_login(user)
        if secret:
            session = client.session
            session["twofactor"] = {"version": user.second_factor.version, "method": "code", "at": int(time.time())}
            session.save()
        return client

    return make


@pytest.mark.parametrize("path", CODE_PAGES)
def test_five_wrong_codes_in_a_row_end_the_session(make_signed_in_client, secret, path):
    client = make_signed_in_client(secret)
    age_second_factor(client, 61)
    responses = [client.post(path, {"code": wrong_code(secret)}) for _ in range(5)]
    assert [redirect_target(response) for response in responses] == [""] * 4 + [LOGIN]
    assert not is_signed_in(client)
    assert message_levels(client.get(LOGIN)) == ["error"]


def test_the_admin_requires_a_code_from_staff_without_a_password(make_signed_in_client, user, second_factor, secret):
    staff = make_signed_in_client(secret, email="staff@example.com", is_staff=True, is_superuser=True)
    action = {"action": "turn_off", "_selected_action": [second_factor.pk], "reason": "lost everything"}
    page = redirect_target(staff.post(ADMIN, action))
    assert page.startswith(REAUTHENTICATE)
    assert SecondFactor.objects.for_user(user)
    assert redirect_target(staff.post(page, {"code": code_now(secret), "next": ADMIN})) == ADMIN
    staff.post(ADMIN, action)
    assert not SecondFactor.objects.filter(user=user).exists()


def test_a_required_setup_after_an_old_sign_in_redirects_to_logout_without_a_loop(make_signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    client = make_signed_in_client()
    assert redirect_target(client.get("/accounts/email/")).startswith(SETUP)
    assert redirect_target(client.get(SETUP)) == "/accounts/logout/"
    assert client.get(LOGOUT).status_code == 200
