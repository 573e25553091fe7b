"""The setup page: step-up, the key, and when a setup in progress ends."""

import re

import pytest
from allauth.account.models import EmailAddress

from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    LOGIN,
    PASSWORD,
    SETTINGS,
    SETUP,
    VERIFY_SETUP,
    errors,
    inputs,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

CANCEL = "/accounts/2fa/cancel-setup/"


def key_shown(response):
    """Return the key on the page without its spaces, or None."""
    return response.context["key"].replace(" ", "") if response.context.get("key") else None


def start_setup(client):
    return key_shown(client.post(SETUP, {"password": PASSWORD}))


def change_session(client, **fields):
    session = client.session
    session["twofactor_setup"].update(fields)
    session.save()


# --- Step-up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_signed_out_user_is_redirected_to_login(signed_out_client, db, method):
    assert redirect_target(getattr(signed_out_client, method)(SETUP)).startswith(LOGIN)


def test_the_password_is_required_first(signed_in_client):
    response = signed_in_client.get(SETUP)
    assert response.status_code == 200
    assert set(inputs(response)) == {"csrfmiddlewaretoken", "password"}
    assert key_shown(response) is None
    assert "twofactor_setup" not in signed_in_client.session


@pytest.mark.parametrize("typed, why", [({}, "required"), ({"password": "wrong"}, "wrong_password")])
def test_no_key_is_shown_without_the_password(signed_in_client, typed, why):
    response = signed_in_client.post(SETUP, typed)
    assert response.status_code == 422
    assert errors(response) == {"password": [why]}
    assert inputs(response)["password"]["aria-invalid"] == "true"
    assert "twofactor_setup" not in signed_in_client.session


def test_an_unverified_address_must_be_verified_first(signed_in_client):
    EmailAddress.objects.update(verified=False)
    for response in (signed_in_client.get(SETUP), signed_in_client.post(SETUP, {"password": PASSWORD})):
        assert redirect_target(response) == "/accounts/email/"
    assert "twofactor_setup" not in signed_in_client.session


def test_a_secret_sent_by_the_client_is_ignored(signed_in_client):
    typed = {"password": PASSWORD, "secret": "A" * 32, "key": "A" * 32, "twofactor_setup": "x"}
    assert key_shown(signed_in_client.post(SETUP, typed)) != "A" * 32


# --- The key --------------------------------------------------------------------------------------


def test_the_password_gives_the_qr_code_and_the_key(signed_in_client):
    response = signed_in_client.post(SETUP, {"password": PASSWORD})
    assert response.status_code == 200
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", response.context["key"])
    assert response.context["key"] in response.content.decode()
    assert '<svg class="tf-qr"' in response.content.decode()
    assert not Authenticator.objects.exists()


def test_a_reload_a_second_tab_and_a_second_post_show_the_same_key(signed_in_client):
    key = start_setup(signed_in_client)
    assert key_shown(signed_in_client.get(SETUP)) == key
    assert start_setup(signed_in_client) == key
    signed_in_client.get(VERIFY_SETUP)
    assert key_shown(signed_in_client.get(SETUP)) == key


def test_a_second_browser_of_the_same_user_gets_a_different_key(signed_in_client, user):
    assert start_setup(sign_in(new_client(), user)) != start_setup(signed_in_client)


def test_the_key_is_stored_sealed_in_the_session_only(signed_in_client):
    key = start_setup(signed_in_client)
    assert signed_in_client.session["twofactor_setup"]["sealed"].startswith("v1.test.")
    assert key not in str(signed_in_client.session.items())
    assert not any(key in cookie.value for cookie in signed_in_client.cookies.values())


def test_the_page_with_the_key_is_not_cached(signed_in_client):
    response = signed_in_client.post(SETUP, {"password": PASSWORD})
    assert "no-store" in response["Cache-Control"]


# --- The end of a setup ---------------------------------------------------------------------------


def test_cancel_discards_the_setup(signed_in_client):
    key = start_setup(signed_in_client)
    response = signed_in_client.post(CANCEL)
    assert redirect_target(response) == SETTINGS or response.status_code == 200
    assert key_shown(signed_in_client.get(SETUP)) is None
    assert start_setup(signed_in_client) != key


def test_cancel_does_not_accept_get(signed_in_client):
    start_setup(signed_in_client)
    assert signed_in_client.get(CANCEL).status_code == 405
    assert key_shown(signed_in_client.get(SETUP)) is not None


@pytest.mark.parametrize("seconds_ago, is_alive", [(14 * 60, True), (15 * 60 + 5, False)])
def test_a_setup_ends_after_fifteen_minutes(signed_in_client, seconds_ago, is_alive):
    key = start_setup(signed_in_client)
    change_session(signed_in_client, began=signed_in_client.session["twofactor_setup"]["began"] - seconds_ago)
    assert key_shown(signed_in_client.get(SETUP)) == (key if is_alive else None)


def test_a_setup_ends_at_sign_out(signed_in_client, user):
    key = start_setup(signed_in_client)
    signed_in_client.post("/accounts/logout/")
    assert not is_signed_in(signed_in_client)
    sign_in(signed_in_client, user)
    assert key_shown(signed_in_client.get(SETUP)) is None
    assert start_setup(signed_in_client) != key


def test_a_setup_is_bound_to_its_user(signed_in_client, make_user):
    start_setup(signed_in_client)
    bob = sign_in(new_client(), make_user("bob@example.com"))
    session = bob.session
    session["twofactor_setup"] = signed_in_client.session["twofactor_setup"]
    session.save()
    assert key_shown(bob.get(SETUP)) is None


def test_a_setup_ends_when_2fa_is_turned_on_in_another_session(signed_in_client, user, secret):
    start_setup(signed_in_client)
    Authenticator.objects.activate(user, secret=secret)
    session = signed_in_client.session
    session["twofactor"] = {"version": Authenticator.objects.get().version, "method": "code", "at": 0}
    session.save()
    assert key_shown(signed_in_client.get(SETUP)) is None


def test_a_setup_that_does_not_open_ends_without_an_error(signed_in_client, settings):
    start_setup(signed_in_client)
    settings.TWOFACTOR_KEYS = "other:b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItISE="
    assert key_shown(signed_in_client.get(SETUP)) is None
