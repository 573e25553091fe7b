"""The sign-in stage: which codes sign in, and what the page shows."""

import time

import pytest

from twofactor.models import Authenticator, PendingSignIn, SecurityEvent
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    UNKNOWN_BACKUP_CODE,
    VERIFY_LOGIN,
    code_now,
    errors,
    give_password,
    inputs,
    is_full_page,
    is_signed_in,
    message_levels,
    messages_on,
    new_client,
    redirect_target,
)

CANCEL = "/accounts/2fa/cancel-login/"


# --- After the password ---------------------------------------------------------------------------


def test_without_2fa_the_password_signs_in(signed_out_client, user):
    assert redirect_target(give_password(signed_out_client, user)) == "/"
    assert is_signed_in(signed_out_client)


def test_the_password_redirects_a_plain_browser_to_the_code_page(client, user, authenticator):
    assert redirect_target(give_password(client, user)) == VERIFY_LOGIN
    assert not is_signed_in(client)


def test_htmx_gets_the_code_form_in_response_to_the_password(user, authenticator):
    response = give_password(new_client(htmx=True), user)
    assert response.status_code == 200
    assert not is_full_page(response)
    assert set(inputs(response)) == {"csrfmiddlewaretoken", "sign_in", "code"}
    assert response["HX-Replace-Url"] == VERIFY_LOGIN
    assert "no-store" in response["Cache-Control"]


def test_the_page_has_one_code_field_and_shows_no_personal_data(pending_client, user):
    response = pending_client.get(VERIFY_LOGIN)
    assert response.status_code == 200
    assert set(inputs(response)) == {"csrfmiddlewaretoken", "sign_in", "code"}
    assert "autofocus" in inputs(response)["code"]
    assert user.email not in response.content.decode()
    assert user.get_full_name() not in response.content.decode()
    assert "no-store" in response["Cache-Control"]


def test_the_method_decides_which_field_is_shown(pending_client):
    assert set(inputs(pending_client.get(VERIFY_LOGIN, {"method": "backup"}))) == {
        "csrfmiddlewaretoken",
        "sign_in",
        "backup_code",
    }
    assert set(inputs(pending_client.get(VERIFY_LOGIN, {"method": "code"}))) == {
        "csrfmiddlewaretoken",
        "sign_in",
        "code",
    }


def test_the_session_key_changes_at_the_password_and_at_the_code(signed_out_client, user, authenticator):
    signed_out_client.get(LOGIN)
    before = signed_out_client.session.session_key
    give_password(signed_out_client, user)
    pending_key = signed_out_client.session.session_key
    assert pending_key != before
    assert not signed_out_client.session.exists(before)
    signed_out_client.post(VERIFY_LOGIN, {"code": code_now(authenticator.secret)})
    assert signed_out_client.session.session_key != pending_key
    assert not signed_out_client.session.exists(pending_key)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", [VERIFY_LOGIN, CANCEL])
def test_without_a_pending_sign_in_the_stage_redirects_to_login(signed_out_client, db, method, path):
    response = getattr(signed_out_client, method)(path, {"code": "123456"})
    assert response.status_code == 405 if (path, method) == (CANCEL, "get") else redirect_target(response) == LOGIN
    assert not is_signed_in(signed_out_client)


def test_a_signed_in_user_is_redirected_home(client_with_2fa):
    assert redirect_target(client_with_2fa.get(VERIFY_LOGIN)) == "/"
    assert redirect_target(client_with_2fa.post(VERIFY_LOGIN, {"code": "123456"})) == "/"
    assert is_signed_in(client_with_2fa)


# --- Codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps_ahead", [-1, 0, 1])
def test_a_code_signs_in(pending_client, secret, steps_ahead):
    # Late in a time step, the code of the previous step could be two steps old when it arrives.
    code = code_now(secret, steps_ahead=steps_ahead if time.time() % 30 < 25 else 0)
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": f"{code[:3]} {code[3:]}"})) == "/"
    assert is_signed_in(pending_client)
    assert pending_client.get(SETTINGS).status_code == 200


def test_a_used_code_does_not_sign_in_again(pending_client, user, secret):
    code = code_now(secret, steps_ahead=1)
    pending_client.post(VERIFY_LOGIN, {"code": code})
    other = new_client()
    give_password(other, user)
    assert errors(other.post(VERIFY_LOGIN, {"code": code})) == {"code": ["wrong_code"]}
    assert not is_signed_in(other)


@pytest.mark.parametrize("typed, why", [
    ({}, "required"), ({"code": ""}, "required"),
    ({"code": "12345"}, "malformed"), ({"code": "¹²³⁴⁵⁶"}, "malformed"),
])  # fmt: skip
def test_a_malformed_code_is_a_field_error_and_not_charged(pending_client, typed, why):
    response = pending_client.post(VERIFY_LOGIN, typed)
    assert response.status_code == 422
    assert errors(response) == {"code": [why]}
    assert inputs(response)["code"]["aria-invalid"] == "true"
    assert not inputs(response)["code"].get("value")
    assert Authenticator.objects.get().failures == 0
    assert not PendingSignIn.objects.exists()


@pytest.mark.parametrize("typed", ["1234\x0056", "\x00", "\ud800" * 6, "1" * 30_000])
@pytest.mark.parametrize("field", ["code", "backup_code"])
def test_any_input_gets_the_form_again(pending_client, field, typed):
    body = f"{field}=" + "".join(f"%{byte:02X}" for byte in typed.encode("utf-8", "surrogatepass"))
    response = pending_client.generic("POST", VERIFY_LOGIN, body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 422
    assert not PendingSignIn.objects.exists()


def test_a_backup_code_signs_in_shows_how_many_are_left_and_notifies_the_owner(
    pending_client, user, backup_codes, emails_to
):
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0].lower()})) == "/"
    home = pending_client.get("/")
    assert "info" in message_levels(home)
    assert "9" in " ".join(messages_on(home))
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]
    (email,) = emails_to(user.email)
    assert "9" in email.body


def test_three_remaining_backup_codes_are_a_warning(pending_client, authenticator, backup_codes):
    for code in backup_codes[:6]:
        authenticator.spend_backup_code(code)
    pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[6]})
    assert "warning" in message_levels(pending_client.get("/"))


def test_a_used_or_unknown_backup_code_does_not_sign_in(pending_client, authenticator, backup_codes):
    authenticator.spend_backup_code(backup_codes[0])
    for typed in (backup_codes[0], UNKNOWN_BACKUP_CODE):
        response = pending_client.post(VERIFY_LOGIN, {"backup_code": typed})
        assert response.status_code == 422
        assert errors(response) == {"backup_code": ["wrong_backup_code"]}
    assert not is_signed_in(pending_client)


def test_a_code_of_another_account_is_refused(pending_client, make_user):
    bob = make_user("bob@example.com")
    (first, *_) = Authenticator.objects.activate(bob, secret="B" * 32)
    assert errors(pending_client.post(VERIFY_LOGIN, {"code": code_now("B" * 32)})) == {"code": ["wrong_code"]}
    assert errors(pending_client.post(VERIFY_LOGIN, {"backup_code": first})) == {"backup_code": ["wrong_backup_code"]}
