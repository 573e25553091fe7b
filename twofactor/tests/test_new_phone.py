"""Moving to a new phone: a proof first, then the same steps; never a moment without 2FA."""

import pytest

from conftest import PASSWORD
from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
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


def key_on(response):
    """The key that the page shows, its groups put together; None if it shows none."""
    return response.context["key"].replace(" ", "") if response.context.get("key") else None


def begin(client, **proof):
    """Go through step 1; return the key."""
    response = client.post(SETUP, {"password": PASSWORD, **proof})
    return response.context["key"].replace(" ", "")


# --- The proof ------------------------------------------------------------------------------------


def test_with_2fa_on_the_password_alone_gives_no_key(client_with_2fa):
    assert set(inputs(client_with_2fa.get(SETUP))) == {"csrfmiddlewaretoken", "password", "code"}
    response = client_with_2fa.post(SETUP, {"password": PASSWORD})
    assert response.status_code == 422
    assert errors(response) == {"code": ["required"]}
    assert "twofactor_setup" not in client_with_2fa.session


def test_with_2fa_on_a_wrong_code_gives_no_key_and_is_charged(client_with_2fa, secret):
    response = client_with_2fa.post(SETUP, {"password": PASSWORD, "code": wrong_code(secret)})
    assert errors(response) == {"code": ["wrong_code"]}
    assert Authenticator.objects.get().failures == 1
    assert "twofactor_setup" not in client_with_2fa.session


def test_password_and_code_give_a_new_key_and_never_the_live_one(client_with_2fa, secret):
    key = key_on(client_with_2fa.post(SETUP, {"password": PASSWORD, "code": code_now(secret)}))
    assert key not in (None, secret)
    assert Authenticator.objects.get().secret == secret


def test_the_toggle_turns_the_code_into_a_backup_code(client_with_2fa):
    assert set(inputs(client_with_2fa.get(SETUP, {"method": "backup"}))) == {
        "csrfmiddlewaretoken",
        "password",
        "backup_code",
    }


def test_password_and_backup_code_give_a_new_key_and_the_owner_is_told(client_with_2fa, user, backup_codes, mails_to):
    assert key_on(client_with_2fa.post(SETUP, {"password": PASSWORD, "backup_code": backup_codes[0]}))
    assert Authenticator.objects.get().codes_left == 9
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]
    assert len(mails_to(user.email)) == 1


def test_a_wrong_backup_code_gives_no_key(client_with_2fa):
    response = client_with_2fa.post(SETUP, {"password": PASSWORD, "backup_code": UNKNOWN_BACKUP_CODE})
    assert errors(response) == {"backup_code": ["wrong_backup_code"]}
    assert "twofactor_setup" not in client_with_2fa.session


# --- The steps ------------------------------------------------------------------------------------


def test_the_old_phone_works_until_the_new_code_is_accepted_and_not_after(client_with_2fa, user, secret, backup_codes):
    key = begin(client_with_2fa, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    assert Authenticator.objects.for_user(user).accept(code_now(secret))
    response = client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)})
    authenticator = Authenticator.objects.for_user(user)
    assert authenticator.secret == key
    assert not authenticator.spend_backup_code(backup_codes[0])
    assert set(backup_codes_on(response)).isdisjoint(backup_codes)
    Authenticator.objects.update(last_time_step=-1)
    assert not authenticator.accept(code_now(secret))


def test_a_new_phone_keeps_this_session_and_is_told_as_such(client_with_2fa, secret):
    key = begin(client_with_2fa, code=code_now(secret))
    client_with_2fa.post(VERIFY_SETUP, {"code": code_now(key)})
    assert client_with_2fa.get(SETTINGS).status_code == 200
    assert [event.kind for event in SecurityEvent.objects.all()] == ["phone_changed"]


@pytest.mark.parametrize("code", ["wrong", "ahead"])
def test_a_setup_of_a_new_phone_that_fails_leaves_the_old_one(client_with_2fa, secret, code):
    key = begin(client_with_2fa, code=code_now(secret))
    typed = wrong_code(key) if code == "wrong" else code_now(key, steps_ahead=10)
    assert client_with_2fa.post(VERIFY_SETUP, {"code": typed}).status_code == 422
    assert Authenticator.objects.get().secret == secret
