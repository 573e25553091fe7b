"""The adapter: the name of the site, the label of an account, and who is required to have 2FA."""

from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.contrib.auth.models import User as DjangoUser

from twofactor import adapter, totp
from twofactor.adapter import Adapter
from twofactor.models import Authenticator
from twofactor.tests.helpers import DISABLE, PASSWORD, SETTINGS, SETUP, code_now, new_client, redirect_target, sign_in
from twofactor.tests.hosts import pages


class ShopAdapter(Adapter):
    def issuer(self, request=None):
        return f"Shop: {request.get_host()}" if request else "Shop"

    def label(self, user):
        return f"{user.get_full_name()} ({user.pk}): buyer"

    def is_required(self, user):
        return user.email.startswith("ada@")


class FailingAdapter(Adapter):
    def is_required(self, user):
        raise ConnectionError("the directory is down")


@pytest.fixture
def shop_adapter(settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.ShopAdapter"


@pytest.fixture
def failing_adapter(settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.FailingAdapter"


@pytest.fixture
def provisioning_uris(monkeypatch):
    """The provisioning URIs that were created."""
    drawn = []
    draw = totp.provisioning_uri
    monkeypatch.setattr(
        totp, "provisioning_uri", lambda *args, **named: drawn.append(draw(*args, **named)) or drawn[-1]
    )
    return drawn


# --- The default adapter --------------------------------------------------------------------------


def test_the_default_adapter_uses_the_settings(user, settings):
    settings.TWOFACTOR_ISSUER = "Acme"
    assert type(adapter.current()) is Adapter
    assert adapter.current().issuer() == "Acme"
    assert adapter.current().label(user) == "ada@example.com"


@pytest.mark.parametrize("user, label", [
    (DjangoUser(username="ada", email="ada@example.com"), "ada@example.com"), (DjangoUser(username="ada"), "ada"),
])  # fmt: skip
def test_the_label_is_the_address_or_else_the_username(user, label):
    assert adapter.current().label(user) == label


@pytest.mark.parametrize("required, of_staff, of_others", [
    ("none", False, False), ("staff", True, False), ("all", True, True),
])  # fmt: skip
def test_the_setting_decides_who_is_required_to_have_2fa(settings, required, of_staff, of_others):
    settings.TWOFACTOR_REQUIRED = required
    users = [SimpleNamespace(is_staff=True), SimpleNamespace(is_staff=False), SimpleNamespace()]
    assert [adapter.current().is_required(user) for user in users] == [of_staff, of_others, of_others]


# --- A custom adapter -----------------------------------------------------------------------------


def test_issuer_and_label_of_a_custom_adapter_are_in_the_uri_without_colons(shop_adapter, user, provisioning_uris):
    sign_in(browser := new_client(), user)
    browser.post(SETUP, {"password": PASSWORD})
    uri = urlsplit(provisioning_uris[0])
    assert unquote(uri.path) == f"/Shop testserver:Ada Example ({user.pk}) buyer"
    assert parse_qs(uri.query)["issuer"] == ["Shop testserver"]


def test_the_issuer_of_a_custom_adapter_is_in_emails(shop_adapter, user, emails_to, run_command):
    Authenticator.objects.activate(user, secret=totp.new_secret())
    run_command("twofactor", "reset", user.email)
    assert emails_to(user.email)[-1].subject.startswith("Shop")


def test_a_custom_adapter_decides_who_is_required_to_have_2fa(shop_adapter, user, make_user, run_command):
    bob = make_user("bob@example.com")
    assert redirect_target(sign_in(new_client(), user).get("/")) == f"{SETUP}?next=%2F"
    assert sign_in(new_client(), bob).get("/").status_code == 200
    assert "required" in run_command("twofactor", "status", user.email)
    assert "required" not in run_command("twofactor", "status", bob.email)
    assert "MISSING  ada@example.com" in run_command("twofactor", "report")


def test_a_user_whom_the_adapter_requires_to_have_2fa_cannot_turn_it_off(shop_adapter, client_with_2fa, secret):
    assert redirect_target(client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": code_now(secret)})) == SETTINGS
    assert Authenticator.objects.exists()


# --- A failing adapter ----------------------------------------------------------------------------


def test_if_is_required_fails_users_without_2fa_get_an_error(user, failing_adapter):
    browser = new_client(raise_request_exception=False)
    browser.force_login(user)
    response = browser.get(pages.HOST)
    assert response.status_code == 500
    assert b"Load the row" not in response.content


def test_if_is_required_fails_2fa_cannot_be_turned_off(client_with_2fa, failing_adapter, secret):
    client_with_2fa.raise_request_exception = False
    assert client_with_2fa.post(DISABLE, {"password": PASSWORD, "code": code_now(secret)}).status_code == 500
    assert Authenticator.objects.exists()
    assert client_with_2fa.get("/").status_code == 200
