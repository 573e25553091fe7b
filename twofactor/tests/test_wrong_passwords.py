"""Ten wrong passwords in a row end a signed-in session, and the owner is notified."""

import logging

import pytest
from django.contrib.sessions.models import Session

from twofactor.models import SecurityEvent
from twofactor.tests.helpers import (
    DISABLE,
    LOGIN,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    code_now,
    errors,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)

REAUTHENTICATE = "/accounts/2fa/reauthenticate/"


def post_passwords(client, path, times, password="not-the-password"):
    typed = {"password": password, "code": "123456"}
    return [client.post(path, typed) for _ in range(times)]


def has_ended(client):
    return redirect_target(client.get(SETTINGS)).startswith(LOGIN)


def event_kinds():
    return [event.kind for event in SecurityEvent.objects.all()]


@pytest.mark.parametrize("path", [SETUP, DISABLE, REGENERATE, REAUTHENTICATE])
def test_ten_wrong_passwords_in_a_row_end_the_session_and_notify_the_owner(client_with_2fa, user, emails_to, path):
    responses = post_passwords(client_with_2fa, path, 10)
    assert not any(redirect_target(response) for response in responses[:9])
    assert redirect_target(responses[9]).startswith(LOGIN)
    assert has_ended(client_with_2fa)
    assert not Session.objects.exists()
    assert event_kinds() == ["wrong_passwords"]
    (email,) = emails_to(user.email)
    assert "Ten wrong passwords" in email.body
    assert "Too many wrong passwords" in client_with_2fa.get(LOGIN).content.decode()


def test_wrong_passwords_are_counted_across_forms(client_with_2fa):
    for path in (SETUP, DISABLE, REGENERATE, REAUTHENTICATE):
        post_passwords(client_with_2fa, path, 3)
    assert has_ended(client_with_2fa)


def test_ten_wrong_passwords_end_a_session_without_2fa(signed_in_client):
    post_passwords(signed_in_client, SETUP, 5)
    post_passwords(signed_in_client, REAUTHENTICATE, 5)
    assert has_ended(signed_in_client)


def test_a_correct_password_resets_the_count(client_with_2fa, secret):
    for _ in range(3):
        post_passwords(client_with_2fa, DISABLE, 9)
        response = client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
        assert errors(response) == {"code": ["wrong_code"]}
    post_passwords(client_with_2fa, DISABLE, 9)
    assert not has_ended(client_with_2fa)
    assert event_kinds() == []


def test_other_sessions_of_the_user_are_not_affected(user, authenticator, secret):
    attacker = sign_in(new_client(), user, code=code_now(secret))
    authenticator.__class__.objects.update(last_time_step=-1)
    owner = sign_in(new_client(), user, code=code_now(secret))
    authenticator.__class__.objects.update(last_time_step=-1)
    for path in (REAUTHENTICATE, DISABLE):
        post_passwords(attacker, path, 10)
    assert owner.get(SETTINGS).status_code == 200
    post_passwords(owner, REAUTHENTICATE, 1)
    response = owner.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_now(secret), "next": SETTINGS})
    assert redirect_target(response) == SETTINGS
    sign_in(new_client(), user, code=code_now(secret, steps_ahead=1))


def test_one_email_an_hour_is_sent_and_each_session_creates_an_event(user, emails_to):
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
    assert not has_ended(client_with_2fa)
