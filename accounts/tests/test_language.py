"""Emails are in the language that the user chose at sign-up or while signed in, not in that of the request."""

import pytest
from django.core.management import call_command

from accounts.models import User
from twofactor.tests.constants import CHANGE_PASSWORD, PASSWORD, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in, wrong_code

LANGUAGE, RESET = "/language/", "/accounts/password/reset/"


@pytest.fixture
def german_user(user, second_factor):
    user.language = "de"
    user.save()
    return user


def test_sign_up_stores_the_language(db, emails_to):
    fields = {"full_name": "Grace", "email": "grace@example.com", "password1": PASSWORD}
    new_client(language="de").post("/accounts/signup/", fields)
    assert User.objects.get().language == "de"
    assert "Bestätigen" in emails_to("grace@example.com")[-1].body


def test_sign_in_does_not_change_the_language(german_user, secret):
    browser = new_client(language="ja")
    browser.post(LANGUAGE, {"language": "ar"})
    give_password(browser, german_user)
    browser.post(LANGUAGE, {"language": "ja"})
    browser.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(browser)
    assert User.objects.get().language == "de"


def test_the_language_form_stores_a_known_language_of_a_signed_in_user(user):
    client = sign_in(new_client(), user)
    client.post(LANGUAGE, {"language": "pt-br"})
    client.get(LANGUAGE, {"language": "de"})
    for language in ("it", "", "DE", "de\0", "x" * 999):
        client.post(LANGUAGE, {"language": language})
    assert User.objects.get().language == "pt-br"


def wrong_codes(user, secret):
    stranger = new_client(language="ja")
    give_password(stranger, user)
    for _ in range(5):
        stranger.post(VERIFY_LOGIN, {"code": wrong_code(secret)})


def change_password(user, secret):
    browser = sign_in(new_client(language="ja"), user, code=code_now(secret))
    browser.post(CHANGE_PASSWORD, {"oldpassword": PASSWORD, "password1": "another-Quarry-4-thimble"})


@pytest.mark.parametrize("cause, words", [
    (wrong_codes, "falsche Codes"), (change_password, "Passwort"),
    (lambda user, secret: new_client(language="ja").post(RESET, {"email": user.email}), "Passwort"),
    (lambda user, secret: call_command("twofactor", "reset", user.email, reason="lost"), "deaktiviert"),
])  # fmt: skip
def test_emails_are_in_the_owners_language(german_user, secret, emails_to, cause, words):
    cause(german_user, secret)
    email = emails_to(german_user.email)[-1]
    assert words in email.subject + email.body
