"""Ten wrong passwords in a row end a signed-in session, and the owner is notified."""

import logging

import pytest

from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import DISABLE, LOGIN, PASSWORD, REAUTHENTICATE, REGENERATE, SETTINGS, SETUP
from twofactor.tests.helpers import code_now, is_signed_in, new_client, sign_in, wrong_code
from twofactor.tests.responses import errors, redirect_target
from twofactor.tests.rows import event_kinds


def post_passwords(client, path, times, password="not-the-password"):
    return [client.post(path, {"password": password, "code": "123456"}) for _ in range(times)]


def test_ten_wrong_passwords_in_a_row_end_the_session_and_notify_the_owner(client_with_2fa, user, emails_to):
    responses = post_passwords(client_with_2fa, DISABLE, 10)
    assert [redirect_target(response) for response in responses[:9]] == [""] * 9
    assert redirect_target(responses[9]).startswith(LOGIN)
    assert redirect_target(client_with_2fa.get(SETTINGS)).startswith(LOGIN)
    assert "Too many wrong passwords" in client_with_2fa.get(LOGIN).content.decode()
    assert event_kinds() == ["wrong_passwords"]
    (email,) = emails_to(user.email)
    assert "ten wrong passwords" in email.body


def test_wrong_passwords_are_counted_across_forms(client_with_2fa):
    for path, times in ((SETUP, 3), (DISABLE, 2), (REGENERATE, 2), (REAUTHENTICATE, 2)):
        post_passwords(client_with_2fa, path, times)
    assert is_signed_in(client_with_2fa)
    post_passwords(client_with_2fa, SETUP, 1)
    assert not is_signed_in(client_with_2fa)


def test_a_correct_password_resets_the_count(client_with_2fa, secret):
    post_passwords(client_with_2fa, DISABLE, 9)
    response = client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
    assert errors(response) == {"code": ["wrong"]}
    post_passwords(client_with_2fa, DISABLE, 9)
    assert is_signed_in(client_with_2fa)
    assert event_kinds() == []


def test_other_sessions_of_the_user_are_not_affected(client_with_2fa, user, secret):
    attacker = sign_in(new_client(), user, code=code_now(secret))
    post_passwords(attacker, REAUTHENTICATE, 10)
    AuthenticatorApp.objects.update(last_time_step=-1)
    post_passwords(client_with_2fa, REAUTHENTICATE, 1)
    typed = {"password": PASSWORD, "code": code_now(secret), "next": SETTINGS}
    assert redirect_target(client_with_2fa.post(REAUTHENTICATE, typed)) == SETTINGS
    sign_in(new_client(), user, code=code_now(secret, steps_ahead=1))


def test_one_email_an_hour_is_sent_and_each_session_creates_an_event(user, emails_to, settings):
    """Also without 2FA."""
    settings.TWOFACTOR_NEW_BROWSER_EMAIL = False
    for _ in range(3):
        post_passwords(sign_in(new_client(), user), SETUP, 10)
    assert event_kinds() == ["wrong_passwords"] * 3
    assert len(emails_to(user.email)) == 1


def test_each_wrong_password_is_logged(client_with_2fa, user, caplog):
    with caplog.at_level(logging.WARNING, "twofactor"):
        post_passwords(client_with_2fa, DISABLE, 1)
    assert f"event=password_refused user={user.pk} ip=127.0.0.1" in caplog.text


@pytest.mark.parametrize("typed", ["", "x" * 200])
def test_an_invalid_password_is_not_counted(client_with_2fa, typed):
    post_passwords(client_with_2fa, DISABLE, 12, password=typed)
    assert is_signed_in(client_with_2fa)
