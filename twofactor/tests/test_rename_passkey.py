"""Renaming a passkey."""

import pytest

from twofactor.tests.constants import SETTINGS
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.responses import errors, redirect_target
from twofactor.tests.rows import event_kinds
from twofactor.tests.softkey import SoftKey


def url_of(passkey):
    return f"{SETTINGS}passkeys/{passkey.pk}/rename/"


@pytest.mark.parametrize(
    "typed, name", [("Laptop", "Laptop"), ("  Ada's\u200b  phone\n", "Ada's phone"), ("x" * 70, "x" * 60)]
)
def test_the_owner_gives_a_passkey_a_name_without_a_proof(client_with_both, passkey, typed, name):
    assert redirect_target(client_with_both.post(url_of(passkey), {"name": typed})) == SETTINGS
    passkey.refresh_from_db()
    assert passkey.name == name
    assert event_kinds() == []  # it is no change of 2FA


@pytest.mark.parametrize("typed", ["", "   ", "\u200b"])
def test_an_empty_name_is_refused(client_with_both, passkey, typed):
    response = client_with_both.post(url_of(passkey), {"name": typed})
    assert (response.status_code, errors(response)) == (422, {"name": ["required"]})
    passkey.refresh_from_db()
    assert passkey.name == "Key"


def test_the_form_has_the_current_name(client_with_both, passkey):
    assert client_with_both.get(url_of(passkey)).context["form"]["name"].value() == "Key"


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_a_passkey_of_another_user_is_not_found(client_with_2fa, bob, action):
    url = f"{SETTINGS}passkeys/{add_passkey(bob, SoftKey()).pk}/{action}/"
    assert client_with_2fa.get(url).status_code == client_with_2fa.post(url, {"name": "Mine"}).status_code == 404
