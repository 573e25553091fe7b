"""The code field on every page that has one: its hint, and the message for a backup code."""

import pytest

from twofactor.tests.constants import CODE_PAGES, CONFIRM, PASSWORD, UNKNOWN_BACKUP_CODE, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.helpers import age_second_factor, start_setup
from twofactor.tests.responses import errors, inputs


def assert_backup_code_message(response, *, link=""):
    text = response.content.decode()
    assert errors(response) == {"code": ["backup_code"]}
    assert "data-letters hidden" not in text
    assert (f'href="{link}' in text.split("data-letters")[1].split("</span>")[0]) is bool(link)
    assert UNKNOWN_BACKUP_CODE not in text


@pytest.mark.parametrize("path", CODE_PAGES)
def test_a_backup_code_gets_a_link_to_its_own_form(client_with_2fa, path):
    age_second_factor(client_with_2fa, 3600)
    response = client_with_2fa.post(path, {"password": PASSWORD, "code": UNKNOWN_BACKUP_CODE})
    assert_backup_code_message(response, link=f"{path}?method=backup")


def test_a_backup_code_at_sign_in_gets_a_link_to_its_own_form(pending_client):
    response = pending_client.post(VERIFY_LOGIN, {"code": UNKNOWN_BACKUP_CODE})
    assert_backup_code_message(response, link=f"{VERIFY_LOGIN}?method=backup")


def test_a_backup_code_in_a_setup_gets_no_link(signed_in_client):
    start_setup(signed_in_client)
    assert_backup_code_message(signed_in_client.post(VERIFY_SETUP, {"code": UNKNOWN_BACKUP_CODE}))


@pytest.mark.parametrize("path", CODE_PAGES)
def test_the_hint_of_a_form_that_submits_itself_says_so(client_with_2fa, path):
    age_second_factor(client_with_2fa, 3600)
    for method, field in (("code", "code"), ("backup", "backup_code")):
        response = client_with_2fa.get(path, {"method": method})
        text = response.content.decode()
        assert inputs(response)[field]["aria-describedby"] == f"id_{field}_helptext"
        assert f'id="id_{field}_helptext"' in text
        submits_itself = path == CONFIRM and method == "code"
        assert ("We'll check it after the sixth digit." in text) is ("data-autosubmit" in text) is submits_itself
