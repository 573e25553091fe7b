"""When a passkey can be added, and what follows. Wrong answers of browsers are tested in test_passkey_pages.py."""

import pytest
from allauth.account.models import EmailAddress

from twofactor import conf
from twofactor.models import AuthenticatorApp, BackupCode, Passkey
from twofactor.tests.constants import CANCEL_SETUP, HTMX, PASSWORD, SETTINGS, SETUP, VERIFY_SETUP
from twofactor.tests.helpers import code_now, proof
from twofactor.tests.passkeys import register, sign
from twofactor.tests.responses import backup_codes_on, errors, inputs, messages_on, redirect_target
from twofactor.tests.rows import event_kinds

ADD = f"{SETTINGS}passkeys/add/"
ELSEWHERE = 'Passkeys only work at <a href="https://testserver"'


def add(client, key, proof, **fields):
    """Pass the step-up, and post the answer of the browser."""
    form = client.post(ADD, proof).context["form"]
    return client.post(ADD, {**register(key, form), **fields})


# --- Before ---------------------------------------------------------------------------------------


def test_the_step_up_comes_before_the_button(signed_in_client, key):
    assert inputs(signed_in_client.get(ADD)).keys() == {"csrfmiddlewaretoken", "password"}
    assert errors(signed_in_client.post(ADD, {"password": "wrong"})) == {"password": ["wrong_password"]}
    form = signed_in_client.post(ADD, {"password": PASSWORD}).context["form"]
    assert signed_in_client.get(ADD).context["is_proved"]  # a reload keeps the proof
    assert redirect_target(signed_in_client.post(CANCEL_SETUP)) == SETTINGS
    assert errors(signed_in_client.post(ADD, register(key, form))) == {"password": ["required"]}
    assert not Passkey.objects.exists()


def test_an_unverified_address_must_be_verified_first(signed_in_client):
    EmailAddress.objects.update(verified=False)
    assert redirect_target(signed_in_client.post(ADD, {"password": PASSWORD})) == "/accounts/email/"


def test_the_twenty_first_passkey_is_refused_before_the_step_up(client_with_both, monkeypatch):
    monkeypatch.setattr(conf, "PASSKEYS_AT_MOST", 1)
    assert redirect_target(client_with_both.get(ADD)) == SETTINGS
    message = "You have 20 passkeys, the most an account can have. Remove one first."
    assert messages_on(client_with_both.get(SETTINGS))[-1] == message


def test_the_setup_offers_both_credentials_and_keeps_the_next_page(signed_in_client):
    for page in (SETUP, ADD):
        content = signed_in_client.get(f"{page}?next=/start/").content.decode()
        assert f'href="{ADD}?next=%2Fstart%2F"' in content
        assert f'href="{SETUP}?next=%2Fstart%2F"' in content


def test_with_2fa_on_there_is_nothing_to_choose(client_with_2fa):
    for page in (SETUP, ADD):
        assert f'href="{ADD}"' not in client_with_2fa.get(page).content.decode()


def test_the_forms_with_a_passkey_say_that_it_needs_javascript(client_with_both, secret):
    for page in (client_with_both.get(ADD), client_with_both.post(ADD, proof(secret))):
        assert "<noscript>" in page.content.decode()


# --- Another address ------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(settings):
    """Serve the site at an address where passkeys do not work."""
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    return {"headers": {"host": "127.0.0.1:8000"}}


def test_another_address_does_not_offer_passkeys_and_names_the_one_that_does(signed_in_client, elsewhere):
    assert redirect_target(signed_in_client.get(ADD, **elsewhere)) == SETTINGS
    page = signed_in_client.get(SETUP, **elsewhere).content.decode()
    assert f'href="{ADD}"' not in page
    assert ELSEWHERE in page


def test_with_a_passkey_each_form_at_another_address_names_the_one_where_it_works(client_with_both, elsewhere):
    for page in (SETTINGS, SETUP):
        assert ELSEWHERE in client_with_both.get(page, **elsewhere).content.decode()
        assert ELSEWHERE not in client_with_both.get(page).content.decode()


def test_where_passkeys_are_off_nothing_is_said_about_them(signed_in_client, settings):
    settings.TWOFACTOR_PASSKEYS = False
    assert redirect_target(signed_in_client.get(ADD)) == SETTINGS
    for page in (SETTINGS, SETUP):
        assert "asskey" not in signed_in_client.get(page).content.decode()


# --- After ----------------------------------------------------------------------------------------


def test_the_first_one_ends_on_the_page_that_asked_for_2fa_after_the_codes(signed_in_client, key):
    page = add(signed_in_client, key, {"password": PASSWORD, "next": "/start/"})
    assert len(backup_codes_on(page)) == 10
    assert redirect_target(signed_in_client.get(f"{SETTINGS}?saved=on")) == "/start/"


@pytest.mark.parametrize("fields, name", [({}, "Passkey"), ({"name": "Ada's phone"}, "Ada's phone")])
def test_it_has_the_name_that_the_user_gave_or_that_of_its_provider(signed_in_client, key, fields, name):
    add(signed_in_client, key, {"password": PASSWORD}, **fields)
    assert Passkey.objects.get().name == name


def test_a_passkey_beside_the_app_keeps_the_backup_codes_and_returns_to_the_settings(client_with_2fa, key, secret):
    codes = set(BackupCode.objects.values_list("digest"))
    response = add(client_with_2fa, key, proof(secret))
    assert redirect_target(response) == SETTINGS
    assert messages_on(client_with_2fa.get(SETTINGS)) == ["Your passkey is ready. Use it the next time you sign in."]
    assert set(BackupCode.objects.values_list("digest")) == codes
    assert event_kinds() == ["passkey_added"]


def test_htmx_gets_the_settings_panel(client_with_2fa, key, secret):
    form = client_with_2fa.post(ADD, proof(secret)).context["form"]
    response = client_with_2fa.post(ADD, register(key, form), headers=HTMX)
    assert (response.status_code, response["HX-Replace-Url"]) == (200, SETTINGS)


def test_an_app_beside_a_passkey_keeps_the_backup_codes(signed_in_client, key):
    add(signed_in_client, key, {"password": PASSWORD})
    signed_in_client.get(f"{SETTINGS}?saved=on")
    codes = set(BackupCode.objects.values_list("digest"))
    form = signed_in_client.get(SETUP).context["form"]
    key_text = signed_in_client.post(SETUP, sign(key, form)).context["key"].replace(" ", "")
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": code_now(key_text)})) == SETTINGS
    assert AuthenticatorApp.objects.get().secret == key_text
    assert set(BackupCode.objects.values_list("digest")) == codes
    assert event_kinds() == ["turned_on", "app_added"]
