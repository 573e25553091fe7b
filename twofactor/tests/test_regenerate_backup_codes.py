"""New backup codes."""

import re

import pytest

from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    LOGIN,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    UNKNOWN_BACKUP_CODE,
    backup_codes_on,
    code_now,
    errors,
    inputs,
    is_signed_in,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)


def proof(secret):
    return {"password": PASSWORD, "code": code_now(secret)}


def test_a_signed_out_user_is_redirected_to_login(signed_out_client, db):
    assert redirect_target(signed_out_client.post(REGENERATE, {"password": PASSWORD})).startswith(LOGIN)


def test_with_2fa_off_it_redirects_to_settings(signed_in_client):
    assert redirect_target(signed_in_client.get(REGENERATE)) == SETTINGS
    assert redirect_target(signed_in_client.post(REGENERATE, {"password": PASSWORD, "code": "123456"})) == SETTINGS
    assert not Authenticator.objects.exists()


def test_the_form_has_password_and_code_or_backup_code(client_with_2fa):
    assert set(inputs(client_with_2fa.get(REGENERATE))) == {"csrfmiddlewaretoken", "password", "code"}
    assert set(inputs(client_with_2fa.get(REGENERATE, {"method": "backup"}))) == {
        "csrfmiddlewaretoken",
        "password",
        "backup_code",
    }


def test_a_get_creates_and_shows_no_codes(client_with_2fa, authenticator, backup_codes):
    assert not backup_codes_on(client_with_2fa.get(REGENERATE))
    assert authenticator.spend_backup_code(backup_codes[0])


def test_password_and_code_give_ten_new_codes_and_invalidate_the_old_ones(client_with_2fa, backup_codes, secret):
    response = client_with_2fa.post(REGENERATE, proof(secret))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    fresh = backup_codes_on(response)
    assert len(fresh) == 10
    row = Authenticator.objects.get()
    assert not any(row.spend_backup_code(code) for code in backup_codes)
    assert all(row.spend_backup_code(code) for code in fresh)
    assert row.secret == secret


@pytest.mark.parametrize("issuer, file_name", [
    ('Acme, "Inc."', "acme-inc-backup-codes.txt"),
    ("../.hidden <b>\n", "hidden-b-backup-codes.txt"),
    ("二要素🔐", "backup-codes.txt"),
    ("x" * 300, f"{'x' * 64}-backup-codes.txt"),
])  # fmt: skip
def test_any_site_name_gives_a_valid_file_name(client_with_2fa, secret, settings, issuer, file_name):
    settings.TWOFACTOR_ISSUER = issuer
    response = client_with_2fa.post(REGENERATE, proof(secret))
    assert re.findall(r'data-download="([^"]*)"', response.content.decode()) == [file_name]


def test_a_backup_code_is_accepted_and_its_use_is_reported(client_with_2fa, user, backup_codes, emails_to):
    response = client_with_2fa.post(REGENERATE, {"password": PASSWORD, "backup_code": backup_codes[0]})
    assert len(backup_codes_on(response)) == 10
    assert [event.kind for event in SecurityEvent.objects.order_by("pk")] == ["backup_code_used", "codes_regenerated"]
    assert len(emails_to(user.email)) == 2


@pytest.mark.parametrize("typed, expected", [
    ({}, {"password": ["required"], "code": ["required"]}),
    ({"password": PASSWORD}, {"code": ["required"]}),
    ({"code": "right"}, {"password": ["required"]}),
    ({"password": "wrong", "code": "right"}, {"password": ["wrong_password"]}),
    ({"password": PASSWORD, "code": "wrong"}, {"code": ["wrong_code"]}),
    ({"password": PASSWORD, "code": "12"}, {"code": ["malformed"]}),
    ({"password": PASSWORD, "backup_code": UNKNOWN_BACKUP_CODE}, {"backup_code": ["wrong_backup_code"]}),
])  # fmt: skip
def test_password_and_code_are_both_required(client_with_2fa, secret, typed, expected):
    codes = {"right": code_now(secret), "wrong": wrong_code(secret)}
    typed = {name: codes.get(value, value) if name == "code" else value for name, value in typed.items()}
    before = Authenticator.objects.get().version
    response = client_with_2fa.post(REGENERATE, typed)
    assert response.status_code == 422
    assert errors(response) == expected
    assert all(inputs(response)[field]["aria-invalid"] == "true" for field in expected)
    assert not backup_codes_on(response)
    assert Authenticator.objects.get().version == before
    assert not SecurityEvent.objects.exists()


def test_the_codes_are_shown_once(client_with_2fa, secret):
    fresh = backup_codes_on(client_with_2fa.post(REGENERATE, proof(secret)))
    for path in (REGENERATE, SETTINGS, "/"):
        assert not set(fresh) & set(backup_codes_on(client_with_2fa.get(path)))


def test_a_form_sent_again_creates_no_new_codes(client_with_2fa, secret):
    typed = {"password": PASSWORD, "code": code_now(secret, steps_ahead=1)}
    fresh = backup_codes_on(client_with_2fa.post(REGENERATE, typed))
    assert redirect_target(client_with_2fa.post(REGENERATE, typed)) == SETTINGS
    assert message_levels(client_with_2fa.get(SETTINGS)) == ["warning"]
    assert errors(client_with_2fa.post(REGENERATE, typed)) == {"code": ["wrong_code"]}
    assert Authenticator.objects.get().spend_backup_code(fresh[0])


def test_this_session_gets_a_new_key_and_all_others_end(client_with_2fa, user, secret):
    other = sign_in(new_client(), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    before = client_with_2fa.session.session_key
    client_with_2fa.post(REGENERATE, proof(secret))
    assert client_with_2fa.session.session_key != before
    assert client_with_2fa.get(SETTINGS).status_code == 200
    assert not is_signed_in(other)


def test_the_owner_is_notified(client_with_2fa, user, secret, emails_to):
    client_with_2fa.post(REGENERATE, proof(secret))
    assert [event.kind for event in SecurityEvent.objects.all()] == ["codes_regenerated"]
    assert len(emails_to(user.email)) == 1
