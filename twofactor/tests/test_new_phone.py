"""Moving to a new phone: the old phone works until the new one is verified."""

import pytest

from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    PASSWORD,
    SETTINGS,
    SETUP,
    UNKNOWN_BACKUP_CODE,
    VERIFY_SETUP,
    backup_codes_on,
    code_now,
    errors,
    inputs,
    wrong_code,
)


def key_shown(response):
    """Return the key on the page without its spaces, or None."""
    return response.context["key"].replace(" ", "") if response.context.get("key") else None


def start_setup(client, **proof):
    """Pass the step-up, and return the key."""
    response = client.post(SETUP, {"password": PASSWORD, **proof})
    return response.context["key"].replace(" ", "")


# --- Step-up --------------------------------------------------------------------------------------


def test_with_2fa_on_the_password_alone_shows_no_key(client_with_2fa):
    assert set(inputs(client_with_2fa.get(SETUP))) == {"csrfmiddlewaretoken", "password", "code"}
    response = client_with_2fa.post(SETUP, {"password": PASSWORD})
    assert response.status_code == 422
    assert errors(response) == {"code": ["required"]}
    assert "twofactor_setup" not in client_with_2fa.session


def test_a_wrong_code_shows_no_key_and_is_charged(client_with_2fa, secret):
    response = client_with_2fa.post(SETUP, {"password": PASSWORD, "code": wrong_code(secret)})
    assert errors(response) == {"code": ["wrong_code"]}
    assert Authenticator.objects.get().failures == 1
    assert "twofactor_setup" not in client_with_2fa.session


def test_password_and_code_show_a_new_key_and_not_the_current_one(client_with_2fa, secret):
    key = key_shown(client_with_2fa.post(SETUP, {"password": PASSWORD, "code": code_now(secret)}))
    assert key not in (None, secret)
    assert Authenticator.objects.get().secret == secret


def test_the_method_decides_which_field_is_shown(client_with_2fa):
    assert set(inputs(client_with_2fa.get(SETUP, {"method": "backup"}))) == {
        "csrfmiddlewaretoken",
        "password",
        "backup_code",
    }


def test_password_and_backup_code_show_a_new_key_and_notify_the_owner(client_with_2fa, user, backup_codes, emails_to):
    assert key_shown(client_with_2fa.post(SETUP, {"password": PASSWORD, "backup_code": backup_codes[0]}))
    assert Authenticator.objects.get().codes_left == 9
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]
    assert len(emails_to(user.email)) == 1


def test_a_wrong_backup_code_shows_no_key(client_with_2fa):
    response = client_with_2fa.post(SETUP, {"password": PASSWORD, "backup_code": UNKNOWN_BACKUP_CODE})
    assert errors(response) == {"backup_code": ["wrong_backup_code"]}
    assert "twofactor_setup" not in client_with_2fa.session


# --- The change of phone --------------------------------------------------------------------------


def test_the_old_phone_works_until_the_new_code_is_accepted(client_with_2fa, user, secret, backup_codes):
    key = start_setup(client_with_2fa, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    assert Authenticator.objects.for_user(user).accept(code_now(secret))
    response = client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)})
    authenticator = Authenticator.objects.for_user(user)
    assert authenticator.secret == key
    assert not authenticator.spend_backup_code(backup_codes[0])
    assert set(backup_codes_on(response)).isdisjoint(backup_codes)
    Authenticator.objects.update(last_time_step=-1)
    assert not authenticator.accept(code_now(secret))


def test_a_new_phone_keeps_this_session_and_has_its_own_event(client_with_2fa, secret):
    key = start_setup(client_with_2fa, code=code_now(secret))
    client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)})
    assert client_with_2fa.get(SETTINGS).status_code == 200
    assert [event.kind for event in SecurityEvent.objects.all()] == ["phone_changed"]


@pytest.mark.parametrize("code", ["wrong", "ahead"])
def test_a_refused_code_of_the_new_phone_keeps_the_old_one(client_with_2fa, secret, code):
    key = start_setup(client_with_2fa, code=code_now(secret))
    typed = wrong_code(key) if code == "wrong" else code_now(key, steps_ahead=10)
    assert client_with_2fa.post(VERIFY_SETUP, {"code": typed}).status_code == 422
    assert Authenticator.objects.get().secret == secret
