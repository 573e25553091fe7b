"""The adapter: the name of the site, the label of an account, and who is required to have 2FA."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User as DjangoUser

from twofactor import adapter, totp
from twofactor.adapter import Adapter
from twofactor.models import SecondFactor
from twofactor.tests.constants import DISABLE, SETUP
from twofactor.tests.helpers import new_client, proof, sign_in, turn_on
from twofactor.tests.hosts import pages
from twofactor.tests.responses import redirect_target


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


def test_the_default_adapter_uses_the_setting_and_the_address_or_else_the_username(settings):
    settings.TWOFACTOR_ISSUER = "Acme"
    default = adapter.current()
    assert default.issuer() == "Acme"
    assert default.label(DjangoUser(username="ada", email="ada@example.com")) == "ada@example.com"
    assert default.label(DjangoUser(username="ada")) == "ada"


@pytest.mark.parametrize("user, name", [
    (DjangoUser(first_name="Ada"), "Ada"), (DjangoUser(username="ada"), ""), (DjangoUser(first_name="a@b.co"), ""),
    (DjangoUser(first_name="Go to evil.example"), ""), (DjangoUser(first_name="http://evil"), ""),
    (DjangoUser(first_name="Dr. J.R. Ewing Jr."), "Dr. J.R. Ewing Jr."), (SimpleNamespace(), ""),
])  # fmt: skip
def test_the_greeting_has_the_short_name_and_neither_address_nor_link(user, name):
    assert adapter.current().greeting_name(user) == name


def test_the_support_address_is_the_setting_or_else_the_sender_of_emails(settings):
    settings.DEFAULT_FROM_EMAIL = '"Acme, Inc." <no-reply@example.com>'
    assert adapter.current().support_email() == "no-reply@example.com"
    settings.TWOFACTOR_SUPPORT_EMAIL = "help@example.com"
    assert adapter.current().support_email() == "help@example.com"


@pytest.mark.parametrize("required, of_staff, of_others", [
    ("none", False, False), ("staff", True, False), ("all", True, True),
])  # fmt: skip
def test_the_setting_decides_who_is_required_to_have_2fa(settings, required, of_staff, of_others):
    settings.TWOFACTOR_REQUIRED = required
    users = [SimpleNamespace(is_staff=True), SimpleNamespace(is_staff=False), SimpleNamespace()]
    assert [adapter.current().is_required(user) for user in users] == [of_staff, of_others, of_others]


def test_issuer_and_label_of_a_custom_adapter_are_in_the_uri_and_the_emails(shop_adapter, user, monkeypatch, emails_to):
    calls = []
    draw = totp.provisioning_uri
    monkeypatch.setattr(totp, "provisioning_uri", lambda *args, **named: calls.append(named) or draw(*args, **named))
    turn_on(new_client(), user)
    assert calls[0] == {"account": f"Ada Example ({user.pk}): buyer", "issuer": "Shop: testserver"}
    assert emails_to(user.email)[-1].subject.endswith(" · Shop: testserver")


def test_a_custom_adapter_decides_who_is_required_to_have_2fa(shop_adapter, user, make_user, run_command):
    bob = make_user("bob@example.com")
    assert redirect_target(sign_in(new_client(), user).get("/")) == f"{SETUP}?next=%2F"
    assert sign_in(new_client(), bob).get("/").status_code == 200
    assert "required" in run_command("twofactor", "status", user.email)
    assert "required" not in run_command("twofactor", "status", bob.email)
    assert "MISSING  ada@example.com" in run_command("twofactor", "report")


def test_if_is_required_fails_users_without_2fa_get_an_error(user, settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.FailingAdapter"
    browser = new_client(raise_request_exception=False)
    browser.force_login(user)
    response = browser.get(pages.HOST)
    assert response.status_code == 500
    assert b"Load the row" not in response.content


def test_if_is_required_fails_2fa_cannot_be_turned_off(client_with_2fa, secret, settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.FailingAdapter"
    client_with_2fa.raise_request_exception = False
    assert client_with_2fa.post(DISABLE, proof(secret)).status_code == 500
    assert SecondFactor.objects.exists()
    assert client_with_2fa.get("/").status_code == 200
