"""Emails are in the language that the owner chose at sign-up or while signed in, and never in that of a request."""

import pytest
from django.core.management import call_command

from accounts.models import User
from conftest import PASSWORD
from twofactor.tests.helpers import VERIFY_LOGIN, code_now, give_password, new_client, sign_in, wrong_code

LANGUAGE = "/language/"


@pytest.fixture
def german(user, authenticator):
    """A user with 2FA on, whose emails are in German."""
    user.language = "de"
    user.save()
    return user


# --- What sets it ---------------------------------------------------------------------------------


def test_it_is_that_of_the_sign_up(db, mails_to):
    fields = {"full_name": "Grace", "email": "grace@example.com", "password1": PASSWORD}
    new_client(language="de").post("/accounts/signup/", fields)
    assert User.objects.get().language == "de"
    assert "bestätigen" in mails_to("grace@example.com")[-1].body


def test_a_sign_in_does_not_change_it(german, secret):
    browser = new_client(language="ja")
    browser.post(LANGUAGE, {"language": "ar"})
    sign_in(browser, german, code=code_now(secret))
    assert User.objects.get().language == "de"


def test_the_footers_choice_changes_it_while_signed_in(user):
    sign_in(new_client(), user).post(LANGUAGE, {"language": "pt-br"})
    assert User.objects.get().language == "pt-br"


@pytest.mark.parametrize("language", ["it", "xx", "", "DE", "de\0", "x" * 999])
def test_what_is_no_language_of_the_site_does_not_change_it(user, language):
    User.objects.update(language="fr")
    sign_in(new_client(), user).post(LANGUAGE, {"language": language})
    assert User.objects.get().language == "fr"


def test_a_get_does_not_change_it(user):
    sign_in(new_client(), user).get(LANGUAGE, {"language": "de"})
    assert User.objects.get().language == ""


def test_a_password_alone_does_not_change_it(german):
    browser = new_client()
    give_password(browser, german)
    browser.post(LANGUAGE, {"language": "ja"})
    assert User.objects.get().language == "de"


# --- Emails that others cause ---------------------------------------------------------------------


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
    new = {"oldpassword": PASSWORD, "password1": "another-Quarry-4-thimble"}
    browser.post("/accounts/password/change/", new)
    assert "Passwort" in mails_to(german.email)[-1].subject
