"""Where a host says otherwise: the site's name, the account's, and who must have 2FA."""

from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.contrib.auth.models import User as UserWithAName

from conftest import PASSWORD
from twofactor import adapter, totp
from twofactor.adapter import Adapter
from twofactor.models import Authenticator
from twofactor.tests.helpers import DISABLE, SETTINGS, SETUP, code_now, new_client, redirect_target, sign_in
from twofactor.tests.hosts import pages


class Shop(Adapter):
    def issuer(self, request=None):
        return f"Shop: {request.get_host()}" if request else "Shop"

    def label(self, user):
        return f"{user.full_name} ({user.pk}): buyer"

    def is_required(self, user):
        return user.email.startswith("ada@")


class Broken(Adapter):
    def is_required(self, user):
        raise ConnectionError("the directory is down")


@pytest.fixture
def shop(settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.Shop"


@pytest.fixture
def broken(settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.Broken"


@pytest.fixture
def scanned(monkeypatch):
    """The addresses that were drawn as QR codes."""
    drawn, draw = [], totp.provisioning_uri
    monkeypatch.setattr(
        totp, "provisioning_uri", lambda *args, **named: drawn.append(draw(*args, **named)) or drawn[-1]
    )
    return drawn


# --- As it comes ----------------------------------------------------------------------------------


def test_as_it_comes_it_says_what_the_settings_say(user, settings):
    settings.TWOFACTOR_ISSUER = "Acme"
    assert type(adapter.current()) is Adapter
    assert adapter.current().issuer() == "Acme"
    assert adapter.current().label(user) == "ada@example.com"


@pytest.mark.parametrize("user, label", [
    (UserWithAName(username="ada", email="ada@example.com"), "ada@example.com"), (UserWithAName(username="ada"), "ada"),
])  # fmt: skip
def test_an_account_goes_by_its_address_or_else_by_the_name_it_signs_in_with(user, label):
    assert adapter.current().label(user) == label


@pytest.mark.parametrize("required, of_staff, of_others", [
    ("none", False, False), ("staff", True, False), ("all", True, True),
])  # fmt: skip
def test_who_must_have_it_is_a_setting(settings, required, of_staff, of_others):
    settings.TWOFACTOR_REQUIRED = required
    asked = [SimpleNamespace(is_staff=True), SimpleNamespace(is_staff=False), SimpleNamespace()]
    assert [adapter.current().is_required(user) for user in asked] == [of_staff, of_others, of_others]


# --- A host's own ---------------------------------------------------------------------------------


def test_a_hosts_own_names_stand_in_the_app_and_without_colons(shop, user, scanned):
    sign_in(browser := new_client(), user)
    browser.post(SETUP, {"password": PASSWORD})
    uri = urlsplit(scanned[0])
    assert unquote(uri.path) == f"/Shop testserver:Ada Example ({user.pk}) buyer"
    assert parse_qs(uri.query)["issuer"] == ["Shop testserver"]


def test_a_hosts_own_name_stands_in_titles_and_mails(shop, user, mails_to, run_command):
    assert "· Shop: testserver</title>" in new_client().get("/accounts/login/").content.decode()
    Authenticator.objects.activate(user, secret=totp.new_secret())
    run_command("twofactor", "reset", user.email)
    assert mails_to(user.email)[-1].subject.startswith("Shop")


def test_a_host_says_who_must_have_it(shop, user, make_user, run_command):
    bob = make_user("bob@example.com")
    assert redirect_target(sign_in(new_client(), user).get("/")) == f"{SETUP}?next=%2F"
    assert sign_in(new_client(), bob).get("/").status_code == 200
    assert "required" in run_command("twofactor", "status", user.email)
    assert "required" not in run_command("twofactor", "status", bob.email)
    assert "MISSING  ada@example.com" in run_command("twofactor", "report")


def test_whoever_must_have_it_by_the_hosts_word_cannot_turn_it_off(shop, client_with_2fa, secret):
    assert redirect_target(client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": code_now(secret)})) == SETTINGS
    assert Authenticator.objects.exists()


# --- One that fails -------------------------------------------------------------------------------


def test_while_it_cannot_say_who_must_have_it_nobody_without_gets_a_page(user, broken, settings):
    settings.ROOT_URLCONF = "twofactor.tests.hosts.pages"
    browser = new_client(raise_request_exception=False)
    browser.force_login(user)
    response = browser.get(pages.HOST)
    assert response.status_code == 500
    assert b"Load the row" not in response.content


def test_while_it_cannot_say_who_must_have_it_nobody_turns_it_off(client_with_2fa, broken, secret):
    client_with_2fa.raise_request_exception = False
    assert client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": code_now(secret)}).status_code == 500
    assert Authenticator.objects.exists()
    assert client_with_2fa.get("/").status_code == 200
