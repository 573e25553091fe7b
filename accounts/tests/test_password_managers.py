"""Every form with a password contains the username, so that password managers fill in and save the right account."""

from html.parser import HTMLParser

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str

from conftest import PASSWORD
from twofactor.tests.helpers import DISABLE, LOGIN, REGENERATE, SETUP, new_client, sign_in, sign_in_with_2fa

ACCOUNT_PAGES = ["/accounts/password/change/", "/accounts/2fa/reauthenticate/", SETUP]


class FormParser(HTMLParser):
    """Collect the inputs of each form that has a password field."""

    def __init__(self, response):
        super().__init__()
        self.all = []
        self.feed(response.content.decode())
        self.with_password = [form for form in self.all if "password" in [field.get("type") for field in form]]

    def handle_starttag(self, tag, attrs):
        if tag == "form":
            self.all.append([])
        elif tag == "input":
            self.all[-1].append(dict(attrs))


def assert_has_username(response, address):
    (form,) = FormParser(response).with_password
    kinds = [field.get("autocomplete") for field in form]
    username = form[kinds.index("username")]
    assert username["value"] == address
    assert "name" not in username
    assert {"hidden", "readonly"} <= username.keys()
    assert kinds.index("username") < [field.get("type") for field in form].index("password")
    assert kinds.count("username") == 1


@pytest.mark.parametrize("path", ACCOUNT_PAGES)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_password_form_of_a_signed_in_user_has_the_username(user, path, htmx):
    client = sign_in(new_client(htmx=htmx), user)
    assert_has_username(client.get(path), user.email)


@pytest.mark.parametrize("path", [*ACCOUNT_PAGES, DISABLE, REGENERATE])
def test_a_form_with_password_and_code_has_the_username(user, path):
    client = sign_in_with_2fa(user)
    assert_has_username(client.get(path), user.email)
    assert_has_username(client.get(path, {"method": "backup"}), user.email)


def test_a_refused_form_has_the_username(user):
    assert_has_username(sign_in_with_2fa(user).post(DISABLE, {"password": "wrong", "code": "123456"}), user.email)


def test_the_password_reset_form_has_the_username(user):
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    client = new_client()
    assert_has_username(client.get(f"/accounts/password/reset/key/{key}/", follow=True), user.email)


def test_the_form_that_confirms_a_new_account_has_the_username(db):
    account = {"email": "bob@example.com", "full_name": "Bob New", "password1": PASSWORD}
    new_client().post("/accounts/signup/", account)
    key = EmailConfirmationHMAC(EmailAddress.objects.get()).key
    assert_has_username(new_client().get(f"/accounts/confirm-email/{key}/"), "bob@example.com")


def test_sign_in_and_sign_up_have_a_field_for_the_username(db):
    for path, kind in ((LOGIN, "username"), ("/accounts/signup/", "email")):
        (form,) = FormParser(new_client().get(path)).with_password
        assert kind in [field.get("autocomplete") for field in form if field.get("name")]


def test_the_form_for_a_first_password_has_the_username(user):
    user.set_unusable_password()
    user.save()
    client = new_client()
    client.force_login(user)
    assert_has_username(client.get("/accounts/password/set/"), user.email)
