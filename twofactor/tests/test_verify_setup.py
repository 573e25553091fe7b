"""Verifying a setup: the first code turns 2FA on, and the backup codes are shown once."""

import re

import pytest

from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    PASSWORD,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    backup_codes_on,
    code_now,
    errors,
    give_password,
    inputs,
    is_signed_in,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)


def start_setup(client, **proof):
    """Pass the step-up, and return the key."""
    response = client.post(SETUP, {"password": PASSWORD, **proof})
    return response.context["key"].replace(" ", "")


def turn_on(client):
    key = start_setup(client)
    response = client.post(VERIFY_SETUP, {"code": code_now(key)})
    return key, response


# --- The code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_setup_in_progress_it_redirects_to_setup(signed_in_client, method):
    assert redirect_target(getattr(signed_in_client, method)(VERIFY_SETUP, {"code": "123456"})) == SETUP


def test_the_form_has_one_code_field_and_shows_no_key(signed_in_client):
    key = start_setup(signed_in_client)
    response = signed_in_client.get(VERIFY_SETUP)
    assert response.status_code == 200
    assert set(inputs(response)) == {"csrfmiddlewaretoken", "code"}
    assert inputs(response)["code"]["autocomplete"] == "one-time-code"
    assert key[:4] + " " + key[4:8] not in response.content.decode()


@pytest.mark.parametrize(
    "typed, why", [("", "required"), ("12345", "malformed"), ("¹²³⁴⁵⁶", "malformed"), ("\0", "malformed")]
)
def test_a_malformed_code_is_refused_and_not_charged(signed_in_client, typed, why):
    start_setup(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": typed})
    assert response.status_code == 422
    assert set(errors(response)) == {"code"}
    assert inputs(response)["code"]["aria-invalid"] == "true"
    assert signed_in_client.session["twofactor_setup"]["tries"] == 0
    assert not Authenticator.objects.exists()


def test_a_wrong_code_does_not_turn_2fa_on(signed_in_client):
    key = start_setup(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})
    assert response.status_code == 422
    assert errors(response) == {"code": ["wrong_code"]}
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("steps_ahead, why", [(4, "ahead"), (-4, "behind")])
def test_a_code_outside_the_drift_window_is_refused_with_the_clock_offset(signed_in_client, steps_ahead, why):
    key = start_setup(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key, steps_ahead=steps_ahead)})
    assert response.status_code == 422
    assert errors(response) == {"code": [why]}
    assert re.search(r"\b\d+ (seconds|minutes)\b", response.context["form"].errors["code"][0])
    assert not Authenticator.objects.exists()


def test_five_wrong_codes_end_the_setup(signed_in_client):
    key = start_setup(signed_in_client)
    for _ in range(4):
        assert signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)}).status_code == 422
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})) == SETUP
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})) == SETUP
    assert not Authenticator.objects.exists()
    assert start_setup(signed_in_client) != key


# --- Success --------------------------------------------------------------------------------------


def test_a_correct_code_turns_2fa_on_and_shows_ten_backup_codes(signed_in_client, user):
    key, response = turn_on(signed_in_client)
    assert response.status_code == 200
    codes = backup_codes_on(response)
    authenticator = Authenticator.objects.for_user(user)
    assert authenticator.secret == key
    assert len(codes) == 10
    assert all(authenticator.spend_backup_code(code) for code in codes)
    assert "no-store" in response["Cache-Control"]
    assert "twofactor_setup" not in signed_in_client.session


def test_the_backup_codes_are_not_shown_again(signed_in_client):
    _, response = turn_on(signed_in_client)
    codes = backup_codes_on(response)
    for path in (SETTINGS, SETUP, VERIFY_SETUP, "/", "/accounts/2fa/regenerate-backup-codes/"):
        text = signed_in_client.get(path, follow=True).content.decode()
        assert not any(code in text for code in codes)
    assert not backup_codes_on(signed_in_client.post(VERIFY_SETUP, {"code": "123456"}))


# --- Leaving the page with the backup codes -------------------------------------------------------

SHOWN_ONCE = "Your backup codes are shown only once."


def leave(signed_in_client, action):
    """Do what a browser can do on the page with the backup codes."""
    return {
        "the same form": lambda: signed_in_client.post(VERIFY_SETUP, {"code": "123456"}),
        "a reload": lambda: signed_in_client.get(SETTINGS),
        "Back to step 2": lambda: signed_in_client.get(VERIFY_SETUP),
        "Back to step 1": lambda: signed_in_client.get(SETUP),
    }[action]()


@pytest.mark.parametrize("action", ["the same form", "a reload", "Back to step 2", "Back to step 1"])
def test_leaving_before_the_codes_are_saved_gives_a_warning(signed_in_client, action):
    turn_on(signed_in_client)
    response = leave(signed_in_client, action)
    if action != "a reload":
        assert redirect_target(response) == SETTINGS
        response = signed_in_client.get(SETTINGS)
    assert message_levels(response) == ["warning"]
    assert f"Two-factor authentication is on. {SHOWN_ONCE}" in response.content.decode()
    assert SHOWN_ONCE not in signed_in_client.get(SETTINGS).content.decode()
    assert "Set up a new phone" in signed_in_client.get(SETUP).content.decode()


def test_leaving_after_the_codes_are_saved_gives_no_warning(signed_in_client):
    turn_on(signed_in_client)
    response = signed_in_client.get(SETTINGS, {"saved": "on"})
    if response.status_code == 302:
        assert redirect_target(response) == SETTINGS
    else:
        assert response["HX-Replace-Url"] == SETTINGS
    assert SHOWN_ONCE not in signed_in_client.get(SETTINGS).content.decode()


def test_a_step_up_right_after_the_setup_is_accepted(signed_in_client):
    key, _ = turn_on(signed_in_client)
    proof = {"password": PASSWORD, "code": code_now(key, steps_ahead=1)}
    assert backup_codes_on(signed_in_client.post("/accounts/2fa/regenerate-backup-codes/", proof))


# --- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("next_url, expected", [
    ("/admin/", "/admin/"), ("/accounts/email/?a=b&c=d", "/accounts/email/?a=b&c=d"),
    ("https://evil.example/", ""), ("//evil.example/", ""), ("javascript:alert(1)", ""), ("", ""),
])  # fmt: skip
def test_a_setup_redirects_to_next_on_this_host_only(signed_in_client, next_url, expected):
    page = signed_in_client.get(SETUP, {"next": next_url})
    kept = inputs(page)["next"]["value"] if expected else ""
    assert kept == expected
    wrong = signed_in_client.post(SETUP, {"password": "wrong", "next": kept})
    assert inputs(wrong).get("next", {}).get("value", "") == expected
    key = start_setup(signed_in_client, next=kept)
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert redirect_target(signed_in_client.get(SETTINGS, {"saved": "on"})) in (expected or SETTINGS, expected)


def test_the_latest_next_of_a_setup_is_kept(signed_in_client):
    key = start_setup(signed_in_client, next="/accounts/email/")
    signed_in_client.get(SETUP, {"next": "/accounts/sessions/"})
    signed_in_client.get(SETUP)
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert redirect_target(signed_in_client.get(SETTINGS, {"saved": "on"})) == "/accounts/sessions/"


def test_if_2fa_is_required_the_setup_offers_sign_out_and_not_cancel(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    step_up_page = signed_in_client.get(SETUP)
    key = start_setup(signed_in_client)
    for page in (step_up_page, signed_in_client.get(SETUP), signed_in_client.get(VERIFY_SETUP)):
        text = page.content.decode()
        assert "Cancel" not in text
        assert 'action="/accounts/logout/"' in text.split('id="panel"')[1]
        assert "Nothing else here opens until you turn it on." in text
    codes = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}).content.decode()
    assert "Nothing else here opens until you turn it on." not in codes


def test_during_the_grace_days_the_setup_offers_cancel(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_GRACE_DAYS = 7
    assert "Cancel" in signed_in_client.get(SETUP).content.decode()


def test_the_code_that_turned_2fa_on_does_not_sign_in(signed_in_client, user):
    key = start_setup(signed_in_client)
    code = code_now(key, steps_ahead=1)
    signed_in_client.post(VERIFY_SETUP, {"code": code})
    other = new_client()
    give_password(other, user)
    response = other.post(VERIFY_LOGIN, {"code": code})
    assert errors(response) == {"code": ["wrong_code"]}
    assert not is_signed_in(other)


def test_a_form_sent_twice_turns_2fa_on_once(signed_in_client):
    key = start_setup(signed_in_client)
    before = signed_in_client.cookies.copy()
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    version = Authenticator.objects.get().version
    assert signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}).status_code in (204, 302)
    again = new_client()
    again.cookies = before
    again.post(VERIFY_SETUP, {"code": code_now(key)})
    assert Authenticator.objects.get().version == version


def test_this_session_gets_a_new_key_and_all_others_end(signed_in_client, user):
    other = sign_in(new_client(), user)
    key = start_setup(signed_in_client)
    before = signed_in_client.session.session_key
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert signed_in_client.session.session_key != before
    assert signed_in_client.get(SETTINGS).status_code == 200
    assert not is_signed_in(other)
    assert redirect_target(other.get(SETTINGS)).startswith("/accounts/login/")
    assert not other.session.exists(before)


def test_the_owner_is_notified(signed_in_client, user, emails_to):
    turn_on(signed_in_client)
    assert [event.kind for event in SecurityEvent.objects.all()] == ["turned_on"]
    assert len(emails_to(user.email)) == 1


def test_a_setup_does_not_replace_the_secret_of_another_tab(signed_in_client, user, secret):
    key = start_setup(signed_in_client)
    session = signed_in_client.session
    Authenticator.objects.activate(user, secret=secret)
    session["twofactor"] = {"version": Authenticator.objects.get().version}
    session.save()
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert Authenticator.objects.get().secret == secret
