"""The field for a code, on every page that has one: its hint, and what it says to a backup code."""

import pytest

from conftest import PASSWORD
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    CONFIRM,
    DISABLE,
    REGENERATE,
    SETUP,
    UNKNOWN_BACKUP_CODE,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    age_second_factor,
    errors,
    inputs,
)

OWN = [REGENERATE, DISABLE, SETUP, "/accounts/reauthenticate/", CONFIRM]
SENDS_ITSELF = "The code is sent when you type the sixth digit."


def assert_told(response, *, link=""):
    text = response.content.decode()
    assert response.status_code == 422
    assert errors(response) == {"code": ["backup_code"]}
    assert "That looks like a backup code." in text
    assert "<span data-letters >" in text
    assert (f'href="{link}' in text.split("data-letters")[1].split("</span>")[0]) is bool(link)
    assert UNKNOWN_BACKUP_CODE not in text


@pytest.mark.parametrize("path", OWN)
def test_a_backup_code_is_told_where_it_belongs_and_costs_no_try(client_with_2fa, path):
    age_second_factor(client_with_2fa, 3600)
    assert_told(
        client_with_2fa.post(path, {"password": PASSWORD, "code": UNKNOWN_BACKUP_CODE}), link=f"{path}?method=backup"
    )
    assert Authenticator.objects.get().failures == 0


def test_so_it_is_at_sign_in(pending_client):
    assert_told(pending_client.post(VERIFY_LOGIN, {"code": UNKNOWN_BACKUP_CODE}), link=f"{VERIFY_LOGIN}?method=backup")


def test_in_a_setup_there_is_no_backup_code_to_use(signed_in_client):
    signed_in_client.post(SETUP, {"password": PASSWORD})
    assert_told(signed_in_client.post(VERIFY_SETUP, {"code": UNKNOWN_BACKUP_CODE}))


@pytest.mark.parametrize("method, field", [("code", "code"), ("backup", "backup_code")])
@pytest.mark.parametrize("path", OWN)
def test_its_hint_says_where_the_code_comes_from_and_describes_it(client_with_2fa, path, method, field):
    age_second_factor(client_with_2fa, 3600)
    response = client_with_2fa.get(path, {"method": method})
    words = {
        "code": "The six digits that your authenticator app shows now.",
        "backup_code": "One of the codes you saved",
    }
    assert words[field] in response.content.decode()
    assert inputs(response)[field]["aria-describedby"] == f"id_{field}_helptext"
    assert f'id="id_{field}_helptext"' in response.content.decode()


@pytest.mark.parametrize("path", OWN)
def test_the_hint_says_that_a_form_sends_itself_where_it_does(client_with_2fa, path):
    age_second_factor(client_with_2fa, 3600)
    text = client_with_2fa.get(path).content.decode()
    assert (SENDS_ITSELF in text) == ("data-autosubmit" in text) == (path == CONFIRM)


def test_the_forms_of_sign_in_and_setup_send_themselves(pending_client):
    text = pending_client.get(VERIFY_LOGIN).content.decode()
    assert SENDS_ITSELF in text
    assert "data-autosubmit" in text


def test_nothing_is_sent_by_itself_while_there_is_a_box_to_tick(pending_client, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    text = pending_client.get(VERIFY_LOGIN).content.decode()
    assert SENDS_ITSELF not in text
    assert "data-autosubmit" not in text
