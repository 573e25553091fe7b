"""Every form with a password contains the username, so that password managers fill in and save the right account."""

import re

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str

from accounts.models import User
from twofactor.tests.constants import DISABLE, LOGIN, PASSWORD, REGENERATE, SETUP
from twofactor.tests.helpers import new_client, sign_in, sign_in_with_2fa
from twofactor.tests.responses import inputs

SIGNUP = "/accounts/signup/"
ACCOUNT_PAGES = ["/accounts/password/change/", "/accounts/2fa/reauthenticate/", SETUP]


def assert_has_username(response, address):
    """Assert that a hidden username precedes the password. It has no name, so it is not posted."""
    page = response.content.decode()
    (username,) = re.findall(r'<input[^>]*\bautocomplete="username"[^>]*>', page)
    assert f' value="{address}"' in username
    assert re.search(r"\bhidden\b.*\breadonly\b|\breadonly\b.*\bhidden\b", username, re.DOTALL)
    assert not re.search(r"\bname=", username)
    assert page.index(username) < page.index('type="password"')


def test_a_password_form_of_a_signed_in_user_has_the_username(user):
    client = sign_in(new_client(), user)
    for path in ACCOUNT_PAGES:
        assert_has_username(client.get(path), user.email)
    User.objects.update(password="!")
    client.force_login(User.objects.get())
    assert_has_username(client.get("/accounts/password/set/"), user.email)


def test_a_form_with_password_and_code_has_the_username(user):
    client = sign_in_with_2fa(user)
    for path in (*ACCOUNT_PAGES, DISABLE, REGENERATE, f"{DISABLE}?method=backup"):
        assert_has_username(client.get(path), user.email)
    assert_has_username(client.post(DISABLE, {"password": "wrong", "code": "123456"}), user.email)


def test_a_form_that_an_emailed_link_opens_has_the_username(user):
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    assert_has_username(new_client().get(f"/accounts/password/reset/key/{key}/", follow=True), user.email)
    new_client().post(SIGNUP, {"email": "bob@example.com", "full_name": "Bob New", "password1": PASSWORD})
    key = EmailConfirmationHMAC(EmailAddress.objects.get(email="bob@example.com")).key
    assert_has_username(new_client().get(f"/accounts/confirm-email/{key}/"), "bob@example.com")


def test_sign_in_and_sign_up_have_a_field_for_the_username(db):
    assert inputs(new_client().get(LOGIN))["login"]["autocomplete"] == "username"
    assert inputs(new_client().get(SIGNUP))["email"]["autocomplete"] == "email"
