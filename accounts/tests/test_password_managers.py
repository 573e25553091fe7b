"""Every form with a password says whose it is, so that a password manager fills and saves the right one."""

from html.parser import HTMLParser

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str

from conftest import PASSWORD
from twofactor.tests.helpers import DISABLE, LOGIN, REGENERATE, SETUP, new_client, sign_in, sign_in_with_2fa

OWN = ["/accounts/password/change/", "/accounts/reauthenticate/", SETUP]


class Forms(HTMLParser):
    """The inputs of each form that has a password."""

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


def assert_says_whose(response, address):
    (form,) = Forms(response).with_password
    kinds = [field.get("autocomplete") for field in form]
    username = form[kinds.index("username")]
    assert username["value"] == address
    assert "name" not in username
    assert {"hidden", "readonly"} <= username.keys()
    assert kinds.index("username") < [field.get("type") for field in form].index("password")
    assert kinds.count("username") == 1


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_form_of_ones_own_account(user, path, htmx):
    client = sign_in(new_client(htmx=htmx), user)
    assert_says_whose(client.get(path), user.email)


@pytest.mark.parametrize("path", [*OWN, DISABLE, REGENERATE])
def test_a_form_that_asks_for_a_code_too(user, path):
    owner = sign_in_with_2fa(user)
    assert_says_whose(owner.get(path), user.email)
    assert_says_whose(owner.get(path, {"method": "backup"}), user.email)


def test_a_form_that_was_refused(user):
    assert_says_whose(sign_in_with_2fa(user).post(DISABLE, {"password": "wrong", "code": "123456"}), user.email)


def test_a_new_password_after_a_reset(user):
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    client = new_client()
    assert_says_whose(client.get(f"/accounts/password/reset/key/{key}/", follow=True), user.email)


def test_a_new_password_for_an_address_that_is_confirmed(db):
    account = {"email": "bob@example.com", "full_name": "Bob New", "password1": PASSWORD}
    new_client().post("/accounts/signup/", account)
    key = EmailConfirmationHMAC(EmailAddress.objects.get()).key
    assert_says_whose(new_client().get(f"/accounts/confirm-email/{key}/"), "bob@example.com")


def test_sign_in_and_sign_up_have_a_field_for_it(db):
    for path, kind in ((LOGIN, "username"), ("/accounts/signup/", "email")):
        (form,) = Forms(new_client().get(path)).with_password
        assert kind in [field.get("autocomplete") for field in form if field.get("name")]


def test_a_first_password_of_an_account_without_one(user):
    user.set_unusable_password()
    user.save()
    client = new_client()
    client.force_login(user)
    assert_says_whose(client.get("/accounts/password/set/"), user.email)
