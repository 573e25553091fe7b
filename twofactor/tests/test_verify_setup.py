"""Verifying a setup: the first code turns 2FA on, and the backup codes are shown once."""

import re

import pytest

from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import DONE, REGENERATE, SETTINGS, SETUP, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, start_setup, wrong_code
from twofactor.tests.responses import backup_codes_on, errors, inputs, message_levels, redirect_target

SHOWN_ONCE = "We show your backup codes only once."


def turn_on(client):
    return client.post(VERIFY_SETUP, {"code": code_now(start_setup(client))})


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_setup_in_progress_it_redirects_to_setup(signed_in_client, method):
    assert redirect_target(getattr(signed_in_client, method)(VERIFY_SETUP, {"code": "123456"})) == SETUP


def test_the_form_has_one_code_field_and_shows_no_key(signed_in_client):
    key = start_setup(signed_in_client)
    response = signed_in_client.get(VERIFY_SETUP)
    assert inputs(response).keys() == {"csrfmiddlewaretoken", "code"}
    assert key[:4] + " " + key[4:8] not in response.content.decode()


def test_five_wrong_codes_end_the_setup(signed_in_client):
    key = start_setup(signed_in_client)
    for _ in range(4):
        assert errors(signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})) == {"code": ["wrong"]}
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})) == SETUP
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})) == SETUP
    assert not SecondFactor.objects.exists()
    assert start_setup(signed_in_client) != key


def test_the_old_phone_works_until_a_code_of_the_new_one_is_accepted(client_with_2fa, secret, backup_codes):
    key = start_setup(client_with_2fa, code=code_now(secret))
    for code in (wrong_code(key), code_now(key, steps_ahead=10)):
        assert errors(client_with_2fa.post(VERIFY_SETUP, {"code": code}))
    assert AuthenticatorApp.objects.get().secret == secret
    assert len(backup_codes_on(client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)}))) == 10
    assert AuthenticatorApp.objects.get().secret == key
    assert not BackupCode.objects.spend(SecondFactor.objects.get(), backup_codes[0])


def test_the_code_that_turned_2fa_on_does_not_sign_in(signed_in_client, user):
    code = code_now(start_setup(signed_in_client), steps_ahead=1)
    signed_in_client.post(VERIFY_SETUP, {"code": code})
    give_password(other := new_client(), user)
    assert errors(other.post(VERIFY_LOGIN, {"code": code})) == {"code": ["wrong"]}
    assert not is_signed_in(other)


def test_a_correct_code_turns_2fa_on_and_shows_ten_backup_codes(signed_in_client, user):
    key = start_setup(signed_in_client)
    codes = backup_codes_on(signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}))
    second_factor = SecondFactor.objects.for_user(user)
    assert second_factor.app.secret == key
    assert len(codes) == 10
    assert all(BackupCode.objects.spend(second_factor, code) for code in codes)


def test_the_backup_codes_are_not_shown_again(signed_in_client):
    codes = backup_codes_on(turn_on(signed_in_client))
    for path in (SETTINGS, SETUP, VERIFY_SETUP, "/", REGENERATE):
        text = signed_in_client.get(path, follow=True).content.decode()
        assert not any(code in text for code in codes)
    assert not backup_codes_on(signed_in_client.post(VERIFY_SETUP, {"code": "123456"}))


@pytest.mark.parametrize("method, path", [("post", VERIFY_SETUP), ("get", VERIFY_SETUP), ("get", SETUP), ("get", "")])
def test_leaving_before_the_codes_are_saved_gives_a_warning(signed_in_client, method, path):
    turn_on(signed_in_client)
    if path:
        assert redirect_target(getattr(signed_in_client, method)(path, {"code": "123456"})) == SETTINGS
    response = signed_in_client.get(SETTINGS)
    assert message_levels(response) == ["warning"]
    assert f"Two-factor authentication is on. {SHOWN_ONCE}" in response.content.decode()
    assert SHOWN_ONCE not in signed_in_client.get(SETTINGS).content.decode()
    assert "Set up a new phone" in signed_in_client.get(SETUP).content.decode()


def test_leaving_after_the_codes_are_saved_gives_no_warning(signed_in_client):
    turn_on(signed_in_client)
    assert signed_in_client.get(DONE, {"saved": "on"}).context["destination"] == SETTINGS
    assert SHOWN_ONCE not in signed_in_client.get(SETTINGS).content.decode()


@pytest.mark.parametrize("next_url, expected", [
    ("/accounts/email/?a=b&c=d", "/accounts/email/?a=b&c=d"),
    ("https://evil.example/", ""), ("//evil.example/", ""), ("javascript:alert(1)", ""),
])  # fmt: skip
def test_a_setup_leads_to_next_on_this_host_only(signed_in_client, next_url, expected):
    wrong = signed_in_client.post(SETUP, {"password": "wrong", "next": next_url})
    for page in (signed_in_client.get(SETUP, {"next": next_url}), wrong):
        assert inputs(page).get("next", {}).get("value", "") == expected
    key = start_setup(signed_in_client, next=next_url)
    codes_page = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert inputs(codes_page).get("next", {}).get("value", "") == expected
    success = signed_in_client.get(DONE, {"saved": "on", "next": next_url})
    assert success.context["destination"] == (expected or SETTINGS)


def test_links_to_a_page_outside_the_app_load_it_whole(client_with_2fa):
    """It may have no panel, as in the admin."""
    for page in (client_with_2fa.get(DONE, {"next": "/admin/"}), client_with_2fa.get(REGENERATE, {"next": "/admin/"})):
        assert re.search(r'href="/admin/"\s+hx-boost="false"', page.content.decode())


def test_the_codes_of_a_setup_lead_to_the_page_of_success(signed_in_client):
    codes_page = turn_on(signed_in_client)
    assert f'method="get" action="{DONE}"' in codes_page.content.decode()
    assert "new_phone" not in inputs(codes_page)
    assert signed_in_client.get(DONE).context["title"] == "You're protected"


def test_a_new_phone_has_its_own_page_of_success(client_with_2fa, secret):
    key = start_setup(client_with_2fa, code=code_now(secret))
    fields = inputs(client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)}))
    text = client_with_2fa.get(DONE, {"new_phone": fields["new_phone"]["value"]}).content.decode()
    assert "Your old phone and your old backup codes no longer work." in text


def test_with_2fa_off_there_is_no_page_of_success(signed_in_client):
    assert redirect_target(signed_in_client.get(DONE)) == SETTINGS


def test_the_latest_next_of_a_setup_is_kept(signed_in_client):
    key = start_setup(signed_in_client, next="/accounts/email/")
    signed_in_client.get(SETUP, {"next": "/accounts/sessions/"})
    signed_in_client.get(SETUP)
    codes_page = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert inputs(codes_page)["next"]["value"] == "/accounts/sessions/"


def test_if_2fa_is_required_the_setup_offers_sign_out_and_not_cancel(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    step_up_page = signed_in_client.get(SETUP)
    key = start_setup(signed_in_client)
    for page in (step_up_page, signed_in_client.get(SETUP), signed_in_client.get(VERIFY_SETUP)):
        text = page.content.decode()
        assert "Cancel" not in text
        assert 'action="/accounts/logout/"' in text.split('id="panel"')[1]
        assert "Turn it on to continue." in text
    codes = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}).content.decode()
    assert "Turn it on to continue." not in codes


def test_during_the_grace_days_the_setup_offers_cancel(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_GRACE_DAYS = 7
    assert "Cancel" in signed_in_client.get(SETUP).content.decode()
