"""Turning 2FA off."""

import pytest

from twofactor.models import Authenticator, BackupCode, SecurityEvent
from twofactor.tests.helpers import (
    DISABLE,
    LOGIN,
    PASSWORD,
    SETTINGS,
    UNKNOWN_BACKUP_CODE,
    code_now,
    errors,
    give_password,
    inputs,
    is_full_page,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)


def proof(secret):
    return {"password": PASSWORD, "code": code_now(secret)}


def test_a_signed_out_user_is_redirected_to_login(signed_out_client, authenticator, secret):
    assert redirect_target(signed_out_client.post(DISABLE, proof(secret))).startswith(LOGIN)
    assert Authenticator.objects.exists()


def test_with_2fa_off_it_redirects_to_settings(signed_in_client):
    assert redirect_target(signed_in_client.get(DISABLE)) == SETTINGS
    assert redirect_target(signed_in_client.post(DISABLE, {"password": PASSWORD})) == SETTINGS


def test_the_form_has_password_and_code_or_backup_code(client_with_2fa):
    assert set(inputs(client_with_2fa.get(DISABLE))) == {"csrfmiddlewaretoken", "password", "code"}
    assert set(inputs(client_with_2fa.get(DISABLE, {"method": "backup"}))) == {
        "csrfmiddlewaretoken",
        "password",
        "backup_code",
    }
    assert Authenticator.objects.exists()


@pytest.mark.parametrize("field", ["code", "backup_code"])
def test_password_and_code_turn_it_off(client_with_2fa, user, secret, backup_codes, field):
    response = client_with_2fa.post(
        DISABLE, {"password": PASSWORD, field: backup_codes[0] if field == "backup_code" else code_now(secret)}
    )
    assert redirect_target(response) == SETTINGS or response.status_code == 200
    assert Authenticator.objects.for_user(user) is None
    assert not BackupCode.objects.exists()
    assert client_with_2fa.get(SETTINGS).context["authenticator"] is None


def test_htmx_gets_the_settings_panel(user, authenticator, secret):
    browser = sign_in(new_client(htmx=True), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    response = browser.post(DISABLE, proof(secret))
    assert response.status_code == 200
    assert not is_full_page(response)
    assert response["HX-Replace-Url"] == SETTINGS
    assert response.context["authenticator"] is None


@pytest.mark.parametrize("typed, expected", [
    ({}, {"password": ["required"], "code": ["required"]}),
    ({"password": PASSWORD}, {"code": ["required"]}),
    ({"code": "right"}, {"password": ["required"]}),
    ({"password": "wrong", "code": "right"}, {"password": ["wrong_password"]}),
    ({"password": PASSWORD, "code": "wrong"}, {"code": ["wrong_code"]}),
    ({"password": PASSWORD, "backup_code": UNKNOWN_BACKUP_CODE}, {"backup_code": ["wrong_backup_code"]}),
])  # fmt: skip
def test_password_and_code_are_both_required(client_with_2fa, secret, typed, expected):
    codes = {"right": code_now(secret), "wrong": wrong_code(secret)}
    typed = {name: codes.get(value, value) if name == "code" else value for name, value in typed.items()}
    response = client_with_2fa.post(DISABLE, typed)
    assert response.status_code == 422
    assert errors(response) == expected
    assert all(inputs(response)[field]["aria-invalid"] == "true" for field in expected)
    assert Authenticator.objects.exists()
    assert not SecurityEvent.objects.exists()


def test_a_used_code_is_refused(client_with_2fa, authenticator, secret):
    code = code_now(secret, steps_ahead=1)
    assert authenticator.accept(code)
    assert errors(client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": code})) == {"code": ["wrong_code"]}
    assert Authenticator.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_not_allowed(client_with_2fa, method):
    assert getattr(client_with_2fa, method)(DISABLE).status_code == 405
    assert Authenticator.objects.exists()


def test_a_post_without_csrf_token_is_refused(user, authenticator, secret):
    browser = new_client(enforce_csrf_checks=True)
    browser.force_login(user)
    session = browser.session
    session["twofactor"] = {"version": authenticator.version}
    session.save()
    assert browser.post(DISABLE, proof(secret)).status_code == 403
    assert Authenticator.objects.exists()


def test_a_user_who_is_required_to_have_2fa_cannot_turn_it_off(client_with_2fa, settings, secret):
    settings.TWOFACTOR_REQUIRED = "all"
    assert redirect_target(client_with_2fa.get(DISABLE)) == SETTINGS
    assert redirect_target(client_with_2fa.post(DISABLE, proof(secret))) == SETTINGS
    row = Authenticator.objects.get()
    assert row.last_time_step == -1  # the code was not checked


def test_this_session_gets_a_new_key_and_all_others_end(client_with_2fa, user, secret):
    other = sign_in(new_client(), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    before = client_with_2fa.session.session_key
    client_with_2fa.post(DISABLE, proof(secret))
    assert client_with_2fa.session.session_key != before
    assert not is_signed_in(other)


def test_the_password_alone_signs_in_afterwards(client_with_2fa, user, secret):
    client_with_2fa.post(DISABLE, proof(secret))
    browser = new_client()
    assert redirect_target(give_password(browser, user)) == "/"
    assert is_signed_in(browser)


def test_the_owner_is_notified(client_with_2fa, user, secret, emails_to):
    client_with_2fa.post(DISABLE, proof(secret))
    assert [event.kind for event in SecurityEvent.objects.all()] == ["turned_off"]
    assert len(emails_to(user.email)) == 1


def test_five_wrong_codes_notify_the_owner(client_with_2fa, user, secret, emails_to):
    for _ in range(5):
        client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    assert "wrong codes" in emails_to(user.email)[-1].subject
