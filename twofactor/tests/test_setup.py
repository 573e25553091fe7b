"""The setup page: the key, and when a setup in progress ends. Its step-up is tested in test_pages.py."""

import re
from html import unescape

import pytest
from allauth.account.models import EmailAddress

from twofactor import totp
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import CANCEL_SETUP, PASSWORD, SETTINGS, SETUP, VERIFY_SETUP
from twofactor.tests.helpers import code_now, new_client, sign_in, start_setup
from twofactor.tests.responses import errors, inputs, key_shown, redirect_target


def test_with_2fa_off_the_password_is_required_first(signed_in_client):
    assert inputs(signed_in_client.get(SETUP)).keys() == {"csrfmiddlewaretoken", "password"}
    for typed, why in (({}, "required"), ({"password": "wrong"}, "wrong_password")):
        response = signed_in_client.post(SETUP, typed)
        assert errors(response) == {"password": [why]}
        assert key_shown(response) is None
    assert "twofactor_setup" not in signed_in_client.session


def test_an_unverified_address_must_be_verified_first(signed_in_client):
    EmailAddress.objects.update(verified=False)
    for response in (signed_in_client.get(SETUP), signed_in_client.post(SETUP, {"password": PASSWORD})):
        assert redirect_target(response) == "/accounts/email/"
    assert "twofactor_setup" not in signed_in_client.session


def test_the_password_gives_the_qr_code_and_the_key(signed_in_client):
    response = signed_in_client.post(SETUP, {"password": PASSWORD})
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", response.context["key"])
    assert response.context["key"] in response.content.decode()
    assert response.content.count(b'<svg class="tf-qr"') == 1
    assert not SecondFactor.objects.exists()


def test_the_setup_page_links_to_the_authenticator_app_of_this_device(signed_in_client):
    response = signed_in_client.post(SETUP, {"password": PASSWORD})
    (uri,) = re.findall(r'href="(otpauth:[^"]*)"', response.content.decode())
    assert unescape(uri) == totp.provisioning_uri(key_shown(response), account="ada@example.com", issuer="Twofactor")


def test_with_2fa_on_a_new_key_is_shown_and_not_the_current_one(client_with_2fa, secret):
    assert start_setup(client_with_2fa, code=code_now(secret)) not in (None, secret)
    assert AuthenticatorApp.objects.get().secret == secret


def test_a_reload_a_second_tab_and_a_second_post_show_the_same_key(signed_in_client):
    key = start_setup(signed_in_client)
    signed_in_client.get(VERIFY_SETUP)
    assert key_shown(signed_in_client.get(SETUP)) == start_setup(signed_in_client) == key


def test_the_key_is_stored_sealed_in_the_session_only(signed_in_client):
    key = start_setup(signed_in_client)
    assert signed_in_client.session["twofactor_setup"]["sealed"].startswith("v1.test.")
    assert key not in str(signed_in_client.session.items())
    assert not any(key in cookie.value for cookie in signed_in_client.cookies.values())


def test_cancel_discards_the_setup(signed_in_client):
    key = start_setup(signed_in_client)
    assert redirect_target(signed_in_client.post(CANCEL_SETUP)) == SETTINGS
    assert key_shown(signed_in_client.get(SETUP)) is None
    assert start_setup(signed_in_client) != key


@pytest.mark.parametrize("seconds_ago, is_alive", [(14 * 60, True), (15 * 60 + 5, False)])
def test_a_setup_ends_after_fifteen_minutes(signed_in_client, seconds_ago, is_alive):
    key = start_setup(signed_in_client)
    session = signed_in_client.session
    session["twofactor_setup"]["began"] -= seconds_ago
    session.save()
    assert key_shown(signed_in_client.get(SETUP)) == (key if is_alive else None)


def test_a_setup_is_bound_to_its_user(signed_in_client, make_user):
    start_setup(signed_in_client)
    bob = sign_in(new_client(), make_user("bob@example.com"))
    session = bob.session
    session["twofactor_setup"] = signed_in_client.session["twofactor_setup"]
    session.save()
    assert key_shown(bob.get(SETUP)) is None


def test_a_setup_ends_when_2fa_is_turned_on_in_another_session(signed_in_client, user, secret):
    start_setup(signed_in_client)
    AuthenticatorApp.objects.activate(user, secret=secret)
    session = signed_in_client.session
    session["twofactor"] = {"version": SecondFactor.objects.get().version, "method": "code", "at": 0}
    session.save()
    assert key_shown(signed_in_client.get(SETUP)) is None


def test_a_setup_that_does_not_open_ends_without_an_error(signed_in_client, settings):
    start_setup(signed_in_client)
    settings.TWOFACTOR_KEYS = "other:b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItISE="
    assert key_shown(signed_in_client.get(SETUP)) is None
