"""Emails are in the language that the user chose at sign-up or while signed in, not in that of the request."""

import pytest
from django.core.management import call_command

from accounts.models import User
from conftest import PASSWORD
from twofactor.tests.helpers import VERIFY_LOGIN, code_now, give_password, new_client, sign_in, wrong_code

LANGUAGE = "/language/"


@pytest.fixture
def german_user(user, authenticator):
    """A user with 2FA whose language is German."""
    user.language = "de"
    user.save()
    return user


# --- Storing the language -------------------------------------------------------------------------


def test_sign_up_stores_the_language(db, emails_to):
    fields = {"full_name": "Grace", "email": "grace@example.com", "password1": PASSWORD}
    new_client(language="de").post("/accounts/signup/", fields)
    assert User.objects.get().language == "de"
    assert "bestätigen" in emails_to("grace@example.com")[-1].body


def test_sign_in_does_not_change_the_language(german_user, secret):
    browser = new_client(language="ja")
    browser.post(LANGUAGE, {"language": "ar"})
    sign_in(browser, german_user, code=code_now(secret))
    assert User.objects.get().language == "de"


def test_the_language_form_stores_the_language_of_a_signed_in_user(user):
    sign_in(new_client(), user).post(LANGUAGE, {"language": "pt-br"})
    assert User.objects.get().language == "pt-br"


@pytest.mark.parametrize("language", ["it", "xx", "", "DE", "de\0", "x" * 999])
def test_an_unknown_language_is_not_stored(user, language):
    User.objects.update(language="fr")
    sign_in(new_client(), user).post(LANGUAGE, {"language": language})
    assert User.objects.get().language == "fr"


def test_a_get_does_not_store_a_language(user):
    sign_in(new_client(), user).get(LANGUAGE, {"language": "de"})
    assert User.objects.get().language == ""


def test_the_language_is_not_stored_before_the_second_factor(german_user):
    browser = new_client()
    give_password(browser, german_user)
    browser.post(LANGUAGE, {"language": "ja"})
    assert User.objects.get().language == "de"


# --- Emails ---------------------------------------------------------------------------------------


def test_an_alert_about_wrong_codes_is_in_the_owners_language(german_user, secret, emails_to):
    stranger = new_client(language="ja")
    give_password(stranger, german_user)
    for _ in range(5):
        stranger.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert "Falsche Codes" in emails_to(german_user.email)[-1].subject


def test_a_password_reset_email_is_in_the_owners_language(german_user, emails_to):
    new_client(language="ja").post("/accounts/password/reset/", {"email": german_user.email})
    assert "Passwort" in emails_to(german_user.email)[-1].subject


def test_emails_of_a_command_are_in_the_owners_language(german_user, emails_to):
    call_command("twofactor", "reset", german_user.email, reason="lost")
    assert "deaktiviert" in emails_to(german_user.email)[-1].body


def test_a_notification_of_allauth_is_in_the_owners_language(german_user, secret, emails_to):
    browser = sign_in(new_client(), german_user, code=code_now(secret))
    new = {"oldpassword": PASSWORD, "password1": "another-Quarry-4-thimble"}
    browser.post("/accounts/password/change/", new)
    assert "Passwort" in emails_to(german_user.email)[-1].subject
