"""Wrong passwords in a signed-in session: ten in a row end it, and its owner is told."""

import logging

import pytest
from django.contrib.sessions.models import Session

from conftest import PASSWORD
from twofactor.models import SecurityEvent
from twofactor.tests.helpers import (
    DISABLE,
    LOGIN,
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

REAUTHENTICATE, OURS = "/accounts/reauthenticate/", "/accounts/2fa/reauthenticate/"
CHANGE = "/accounts/password/change/"
NEW_PASSWORD = "zinc-Harbour-9-lantern"


def guess(client, path, times, password="not-the-password"):
    typed = {"password": password, "oldpassword": password, "code": "123456", "password1": NEW_PASSWORD}
    return [client.post(path, typed) for _ in range(times)]


def is_over(client):
    return redirect_target(client.get(SETTINGS)).startswith(LOGIN)


def kinds():
    return [event.kind for event in SecurityEvent.objects.all()]


@pytest.mark.parametrize("path", [SETUP, DISABLE, REGENERATE, REAUTHENTICATE, OURS, CHANGE])
def test_ten_wrong_passwords_in_a_row_end_the_session_and_tell_the_owner(
    client_with_2fa, user, mails_to, settings, path
):
    if path == OURS:
        settings.ACCOUNT_ADAPTER, settings.ACCOUNT_FORMS = "twofactor.account.AccountAdapter", {}
    answers = guess(client_with_2fa, path, 10)
    assert not any(redirect_target(answer) for answer in answers[:9])
    assert redirect_target(answers[9]).startswith(LOGIN)
    assert is_over(client_with_2fa)
    assert not Session.objects.exists()
    assert kinds() == ["wrong_passwords"]
    (message,) = mails_to(user.email)
    assert "Ten wrong passwords" in message.body
    assert "Too many wrong passwords" in client_with_2fa.get(LOGIN).content.decode()


def test_it_makes_no_difference_which_forms_they_are_typed_into(client_with_2fa):
    for path in (SETUP, DISABLE, REGENERATE, REAUTHENTICATE, CHANGE):
        guess(client_with_2fa, path, 2)
    assert is_over(client_with_2fa)


def test_without_2fa_it_is_the_same(signed_in_client):
    guess(signed_in_client, SETUP, 5)
    guess(signed_in_client, REAUTHENTICATE, 5)
    assert is_over(signed_in_client)


def test_a_right_password_begins_the_count_anew(client_with_2fa, secret):
    for _ in range(3):
        guess(client_with_2fa, DISABLE, 9)
        answer = client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
        assert errors(answer) == {"code": ["wrong_code"]}
    guess(client_with_2fa, DISABLE, 9)
    assert not is_over(client_with_2fa)
    assert kinds() == []


def test_nobody_elses_tries_are_spent(user, authenticator, secret):
    thief = sign_in(new_client(), user, code=code_now(secret))
    authenticator.__class__.objects.update(last_time_step=-1)
    home = sign_in(new_client(), user, code=code_now(secret))
    authenticator.__class__.objects.update(last_time_step=-1)
    for path in (REAUTHENTICATE, CHANGE, DISABLE):
        guess(thief, path, 10)
    assert home.get(SETTINGS).status_code == 200
    guess(home, CHANGE, 1)
    answer = home.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_now(secret), "next": SETTINGS})
    assert redirect_target(answer) == SETTINGS
    sign_in(new_client(), user, code=code_now(secret, steps_ahead=1))


def test_the_owner_is_emailed_once_an_hour_and_each_session_is_an_event(user, mails_to):
    for _ in range(3):
        guess(sign_in(new_client(), user), SETUP, 10)
    assert kinds() == ["wrong_passwords"] * 3
    assert len(mails_to(user.email)) == 1


def test_each_wrong_password_is_a_line_in_the_log(client_with_2fa, user, caplog):
    with caplog.at_level(logging.WARNING, "twofactor"):
        guess(client_with_2fa, DISABLE, 1)
    assert f"event=password_refused user={user.pk} ip=127.0.0.1" in caplog.text


@pytest.mark.parametrize("typed", ["", "x" * 200])
def test_what_cannot_be_a_password_is_not_counted(client_with_2fa, typed):
    guess(client_with_2fa, DISABLE, 12, password=typed)
    assert not is_over(client_with_2fa)
