"""Mails are written in their reader's language, whoever is the cause of one."""

import pytest
from django.core.management import call_command

from conftest import PASSWORD
from twofactor.models import Authenticator
from twofactor.tests.helpers import VERIFY_LOGIN, code_now, give_password, new_client, sign_in, wrong_code


@pytest.fixture
def german(user, authenticator, secret):
    """Somebody who signed in with a German browser, and then with the code of another day."""
    sign_in(new_client(language="de"), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    user.refresh_from_db()
    return user


def test_it_is_that_of_the_last_sign_in(german, secret):
    assert german.language == "de"
    sign_in(new_client(), german, code=code_now(secret))
    german.refresh_from_db()
    assert german.language == "en"


def test_it_is_that_of_the_sign_up(db, mails_to, django_user_model):
    fields = {"full_name": "Grace", "email": "grace@example.com", "password1": PASSWORD}
    new_client(language="de").post("/accounts/signup/", fields)
    assert django_user_model.objects.get().language == "de"
    assert "bestätigen" in mails_to("grace@example.com")[-1].body


def test_a_password_alone_does_not_change_it(user, authenticator):
    give_password(new_client(language="de"), user)
    user.refresh_from_db()
    assert user.language == ""


def test_a_stranger_is_told_of_in_the_owners_language(german, secret, mails_to):
    stranger = new_client(language="ja")
    give_password(stranger, german)
    for _ in range(5):
        stranger.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert "Falsche Codes" in mails_to(german.email)[-1].subject


def test_a_password_reset_that_a_stranger_asks_for_is_written_in_the_owners_language(german, mails_to):
    new_client(language="ja").post("/accounts/password/reset/", {"email": german.email})
    assert "Passwort" in mails_to(german.email)[-1].subject


def test_the_shell_writes_in_the_owners_language(german, mails_to):
    call_command("twofactor", "reset", german.email, reason="lost")
    assert "deaktiviert" in mails_to(german.email)[-1].body


def test_a_notification_of_allauths_is_written_in_the_owners_language(german, secret, mails_to):
    browser = sign_in(new_client(), german, code=code_now(secret))
    german.__class__.objects.update(language="de")
    new = {"oldpassword": PASSWORD, "password1": "another-Quarry-4-thimble"}
    browser.post("/accounts/password/change/", new)
    assert "Passwort" in mails_to(german.email)[-1].subject
