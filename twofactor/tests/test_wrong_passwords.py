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
    leads_to,
    new_client,
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
    return leads_to(client.get(SETTINGS)).startswith(LOGIN)


def kinds():
    return [event.kind for event in SecurityEvent.objects.all()]


@pytest.mark.parametrize("path", [SETUP, DISABLE, REGENERATE, REAUTHENTICATE, OURS, CHANGE])
def test_ten_wrong_passwords_in_a_row_end_the_session_and_tell_the_owner(owner, user, mails_to, settings, path):
    if path == OURS:
        settings.ACCOUNT_ADAPTER, settings.ACCOUNT_FORMS = "twofactor.account.AccountAdapter", {}
    answers = guess(owner, path, 10)
    assert not any(leads_to(answer) for answer in answers[:9])
    assert leads_to(answers[9]).startswith(LOGIN)
    assert is_over(owner)
    assert not Session.objects.exists()
    assert kinds() == ["wrong_passwords"]
    (message,) = mails_to(user.email)
    assert "Ten wrong passwords" in message.body
    assert "Too many wrong passwords" in owner.get(LOGIN).content.decode()


def test_it_makes_no_difference_which_forms_they_are_typed_into(owner):
    for path in (SETUP, DISABLE, REGENERATE, REAUTHENTICATE, CHANGE):
        guess(owner, path, 2)
    assert is_over(owner)


def test_without_2fa_it_is_the_same(member):
    guess(member, SETUP, 5)
    guess(member, REAUTHENTICATE, 5)
    assert is_over(member)


def test_a_right_password_begins_the_count_anew(owner, secret):
    for _ in range(3):
        guess(owner, DISABLE, 9)
        answer = owner.post(DISABLE, {"password": PASSWORD, "code": wrong_code(secret)})
        assert errors(answer) == {"code": ["wrong_code"]}
    guess(owner, DISABLE, 9)
    assert not is_over(owner)
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
    assert leads_to(answer) == SETTINGS
    sign_in(new_client(), user, code=code_now(secret, steps_ahead=1))


def test_the_owner_is_emailed_once_an_hour_and_each_session_is_an_event(user, mails_to):
    for _ in range(3):
        guess(sign_in(new_client(), user), SETUP, 10)
    assert kinds() == ["wrong_passwords"] * 3
    assert len(mails_to(user.email)) == 1


def test_each_wrong_password_is_a_line_in_the_log(owner, user, caplog):
    with caplog.at_level(logging.WARNING, "twofactor"):
        guess(owner, DISABLE, 1)
    assert f"event=password_refused user={user.pk} ip=127.0.0.1" in caplog.text


@pytest.mark.parametrize("typed", ["", "x" * 200])
def test_what_cannot_be_a_password_is_not_counted(owner, typed):
    guess(owner, DISABLE, 12, password=typed)
    assert not is_over(owner)
