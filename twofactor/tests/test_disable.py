"""Turning 2FA off. What it has in common with the other changes is tested in test_pages.py."""

from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import DISABLE, HTMX, PASSWORD, SETTINGS
from twofactor.tests.helpers import is_signed_in, proof, wrong_code
from twofactor.tests.responses import is_full_page, redirect_target
from twofactor.tests.rows import event_kinds


def test_password_and_code_turn_it_off(client_with_2fa, secret):
    assert redirect_target(client_with_2fa.post(DISABLE, proof(secret))) == SETTINGS
    assert not SecondFactor.objects.exists()
    assert not BackupCode.objects.exists()


def test_htmx_gets_the_settings_panel(client_with_2fa, secret):
    response = client_with_2fa.post(DISABLE, proof(secret), headers=HTMX)
    assert (response.status_code, response["HX-Replace-Url"]) == (200, SETTINGS)
    assert not is_full_page(response)
    assert response.context["second_factor"] is None


def test_a_user_who_is_required_to_have_2fa_cannot_turn_it_off(client_with_2fa, settings, secret):
    settings.TWOFACTOR_REQUIRED = "all"
    assert redirect_target(client_with_2fa.get(DISABLE)) == SETTINGS
    assert redirect_target(client_with_2fa.post(DISABLE, proof(secret))) == SETTINGS
    assert AuthenticatorApp.objects.get().last_time_step == -1  # the code was not checked


def test_five_wrong_codes_with_the_password_keep_the_session(client_with_2fa, user, secret, emails_to):
    for _ in range(5):
        client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
    assert event_kinds() == ["wrong_codes"]
    assert "wrong codes" in emails_to(user.email)[-1].subject
    assert is_signed_in(client_with_2fa)
