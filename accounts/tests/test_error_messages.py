"""The error messages of the site's forms: the site's own texts, in the language of the page."""

import time

import pytest
from django.conf import settings
from django.utils.html import escape
from django.utils.translation import override

from accounts.forms import ResetPasswordKeyForm
from conftest import PASSWORD
from twofactor.tests.helpers import LOGIN, SETUP, give_password, new_client, sign_in

SIGNUP, EMAIL, CHANGE = "/accounts/signup/", "/accounts/email/", "/accounts/password/change/"
REAUTHENTICATE = "/accounts/2fa/reauthenticate/"
NEWCOMER = {"email": "bob@example.com", "full_name": "Bob Newcomer", "password1": PASSWORD}
LANGUAGES = [code for code, name in settings.LANGUAGES if code != "en"]


def sign_up(**fields):
    return lambda client, user: client.post(SIGNUP, {**NEWCOMER, **fields})


def signed_in(path, **fields):
    def post(client, user):
        sign_in(client, user)
        client.post(REAUTHENTICATE, {"password": PASSWORD})
        return client.post(path, fields)

    return post


def wrong_password(client, user):
    return give_password(client, user, password="wrong-wrong-wrong")


def too_many_wrong_passwords(client, user):
    return [wrong_password(client, user) for _ in range(11)][-1]


MISTAKES = {
    "no name": (sign_up(full_name=""), "This field is required."),
    "a name of 151 letters": (sign_up(full_name="x" * 151), "Use at most 150 characters."),
    "a NUL": (sign_up(full_name="Bob\0"), "One of these characters cannot be used here."),
    "no address": (sign_up(email="bob"), "Enter an email address, like name@example.com."),
    "a short password": (sign_up(password1="quarry"), "Your password needs at least 12 characters."),
    "a long password": (sign_up(password1="x1 " * 43), "Your password may have at most 128 characters."),
    "a common password": (sign_up(password1="1qaz2wsx3edc"), "This password is too common."),
    "a password like the address": (
        sign_up(password1="bob@example.com"), "Your password is too much like your name or email address."
    ),
    "no address at sign-in": (
        lambda client, user: client.post(LOGIN, {"login": "ada", "password": PASSWORD}),
        "Enter an email address, like name@example.com.",
    ),
    "a wrong password": (wrong_password, "That address and that password do not belong together."),
    "too many wrong passwords": (
        too_many_wrong_passwords, "Too many tries. Try again in 60 seconds, or reset your password."
    ),
    "an address of one's own": (
        signed_in(EMAIL, action_add="", email="ada@example.com"), "You have added this address already."
    ),
    "a wrong current password": (
        signed_in(CHANGE, oldpassword="wrong-wrong-wrong", password1=PASSWORD), "That is not your password."
    ),
    "a NUL in a password": (signed_in(SETUP, password="x\0"), "That is not your password."),
    "a wrong password at step-up": (
        signed_in(REAUTHENTICATE, password="wrong-wrong-wrong"), "That is not your password."
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def frozen_time(monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def shown_errors(response):
    """Return the errors of the form, and assert that the page shows them."""
    messages = [str(error) for errors in response.context["form"].errors.values() for error in errors]
    page = response.content.decode()
    assert all(escape(error) in page for error in messages)
    return messages


@pytest.mark.parametrize("mistake, message", MISTAKES.values(), ids=MISTAKES)
def test_errors_use_the_messages_of_the_site(user, mistake, message):
    assert shown_errors(mistake(new_client(), user)) == [message]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mistake, message", MISTAKES.values(), ids=MISTAKES)
def test_errors_are_in_the_language_of_the_page(user, mistake, message, language):
    errors = shown_errors(mistake(new_client(language=language), user))
    assert errors
    # Compare only the start: the rest may be a duration.
    assert not [error for error in errors if message[:15] in error]


def test_an_unknown_language_gets_the_message_of_the_site(make_user):
    user = make_user()
    user.emailaddress_set.update(verified=False)
    with override("en"):
        form = ResetPasswordKeyForm({"full_name": "Ada", "language": "tlh", "password1": PASSWORD}, user=user)
        assert form.errors == {"language": ["Choose one of the entries."]}


def test_the_sign_in_page_uses_the_reset_link_of_the_site(db):
    """allauth's own text is formal in Spanish, unlike the site's."""
    templates = [template.name for template in new_client().get(LOGIN).templates]
    assert "account/password_reset_help_text.html" in templates
