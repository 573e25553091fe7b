"""The error messages of the site's forms: the site's own texts, in the language of the page."""

import time

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils.html import escape
from django.utils.translation import override

from accounts.forms import ResetPasswordKeyForm
from twofactor.tests.constants import EMAIL, LOGIN, PASSWORD, REAUTHENTICATE, SETUP
from twofactor.tests.helpers import new_client, sign_in

SIGNUP, CHANGE = "/accounts/signup/", "/accounts/password/change/"
WRONG = "wrong-wrong-wrong"
FIELDS = {"email": "bob@example.com", "full_name": "Bob Newcomer", "password1": PASSWORD}  # of a valid sign-up

MISTAKES = [
    (SIGNUP, {"full_name": ""}, "Enter your name."),
    (SIGNUP, {"full_name": "x" * 151}, "Use at most 150 characters."),
    (SIGNUP, {"full_name": "Bob\0"}, "One of these characters can't be used here."),
    (SIGNUP, {"email": "bob"}, "Enter an email address, like name@example.com."),
    (SIGNUP, {"password1": "quarry"}, "Use at least 12 characters."),
    (SIGNUP, {"password1": "x1 " * 43}, "Use at most 128 characters."),
    (SIGNUP, {"password1": "1qaz2wsx3edc"}, "Too many people use this password. Choose a different one."),
    (SIGNUP, {"password1": "bob@example.com"}, "Choose a password that's less like your name or email address."),
    (LOGIN, {"login": "ada", "password": WRONG}, "Enter an email address, like name@example.com."),
    (LOGIN, {"login": "ada@example.com", "password": WRONG}, "Incorrect email or password."),
    (EMAIL, {"action_add": "", "email": "ada@example.com"}, "You've already added this address."),
    (CHANGE, {"oldpassword": WRONG}, "Incorrect password. Try again."),
    (CHANGE, {"oldpassword": PASSWORD, "password1": "quarry"}, "Use at least 12 characters."),
    (SETUP, {"password": "x\0"}, "Incorrect password. Try again."),
    (REAUTHENTICATE, {"password": WRONG}, "Incorrect password. Try again."),
]  # fmt: skip


def shown_error(response):
    """Return the only error of the form, and assert that the page shows it."""
    ((message,),) = response.context["form"].errors.values()
    assert escape(message) in response.content.decode()
    return message


@pytest.mark.parametrize("language", [code for code, name in settings.LANGUAGES])
def test_errors_use_the_messages_of_the_site_in_the_language_of_the_page(user, monkeypatch, language):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    signed_out, signed_in = new_client(language=language), sign_in(new_client(language=language), user)
    signed_in.post(REAUTHENTICATE, {"password": PASSWORD})
    shown = []
    for path, typed, message in MISTAKES:
        client = signed_out if path in {SIGNUP, LOGIN} else signed_in
        shown.append((message, shown_error(client.post(path, {**FIELDS, **typed}))))
    cache.clear()
    tries = [signed_out.post(LOGIN, {"login": user.email, "password": WRONG}) for _ in range(11)]
    shown.append(("Too many attempts. Try again in 60 seconds, or reset your password.", shown_error(tries[-1])))
    with override(language):
        user.emailaddress_set.update(verified=False)
        form = ResetPasswordKeyForm({"full_name": "Ada", "language": "tlh", "password1": PASSWORD}, user=user)
        shown.append(("Choose one of the options.", form.errors["language"][0]))
    if language == "en":
        assert [message for message, error in shown if message != error] == []
    else:
        # Compare only the start: the rest may be a duration.
        assert not [message for message, error in shown if message[:15] in error]
