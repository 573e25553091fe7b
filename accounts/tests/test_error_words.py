"""What a form of the site says of a mistake: in plain words, in the language of the page."""

import time

import pytest
from django.conf import settings
from django.utils.html import escape
from django.utils.translation import override

from accounts.forms import ResetPasswordKeyForm
from conftest import PASSWORD
from twofactor.tests.helpers import LOGIN, SETUP, give_password, new_client, sign_in

SIGNUP, EMAIL, CHANGE = "/accounts/signup/", "/accounts/email/", "/accounts/password/change/"
REAUTHENTICATE = "/accounts/reauthenticate/"
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
    "an own address": (
        signed_in(EMAIL, action_add="", email="ada@example.com"), "You have added this address already."
    ),
    "another current password": (
        signed_in(CHANGE, oldpassword="wrong-wrong-wrong", password1=PASSWORD), "That is not your password."
    ),
    "a NUL in a password": (signed_in(SETUP, password="x\0"), "That is not your password."),
    "another password at step-up": (
        signed_in(REAUTHENTICATE, password="wrong-wrong-wrong"), "That is not your password."
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def still_clock(monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def said(response):
    """The errors of the form, each of which the page shows."""
    words = [str(error) for errors in response.context["form"].errors.values() for error in errors]
    page = response.content.decode()
    assert all(escape(error) in page for error in words)
    return words


@pytest.mark.parametrize("mistake, words", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_our_own_words(user, mistake, words):
    assert said(mistake(new_client(), user)) == [words]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mistake, words", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_the_language_of_the_page(user, mistake, words, language):
    errors = said(mistake(new_client(language=language), user))
    assert errors
    assert not [error for error in errors if words[:15] in error]  # the rest may be a time, in the language of the page


def test_a_language_that_is_not_offered_is_refused_in_our_own_words(make_user):
    user = make_user()
    user.emailaddress_set.update(verified=False)
    with override("en"):
        form = ResetPasswordKeyForm({"full_name": "Ada", "language": "tlh", "password1": PASSWORD}, user=user)
        assert form.errors == {"language": ["Choose one of the entries."]}


def test_the_link_to_the_reset_is_in_our_own_words(db):
    """allauth's Spanish is formal, and the site's is not."""
    templates = [template.name for template in new_client().get(LOGIN).templates]
    assert "account/password_reset_help_text.html" in templates
