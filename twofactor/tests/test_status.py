"""The status block, which the settings page reloads over HTMX."""

import pytest

from twofactor.tests.helpers import (
    LOGIN,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    STATUS,
    VERIFY_LOGIN,
    code_now,
    is_full_page,
    new_client,
    redirect_target,
    sign_in,
)


def test_a_plain_browser_is_redirected_to_the_settings_page(client, user):
    assert redirect_target(sign_in(client, user).get(STATUS)) == SETTINGS


def test_htmx_gets_only_the_block(user):
    response = sign_in(new_client(htmx=True), user).get(STATUS)
    assert response.status_code == 200
    assert not is_full_page(response)
    assert response.content.strip().startswith(b'<div id="twofactor-status"')
    assert b'id="panel"' not in response.content
    assert "no-store" in response["Cache-Control"]


def test_it_shows_that_2fa_is_off(user):
    assert sign_in(new_client(htmx=True), user).get(STATUS).context["authenticator"] is None


def test_it_shows_when_2fa_was_turned_on_and_how_many_codes_are_left(user, authenticator, backup_codes, secret):
    browser = sign_in(new_client(htmx=True), user, code=code_now(secret))
    authenticator.spend_backup_code(backup_codes[0])
    response = browser.get(STATUS)
    assert response.context["codes_left"] == 9
    assert f'datetime="{authenticator.created_at.isoformat()[:19]}' in response.content.decode()


NONE_LEFT = "You have no backup codes left. Make new ones now."


@pytest.fixture
def client_without_backup_codes(pending_client, authenticator, backup_codes):
    """Signed in with the last of the ten backup codes."""
    for code in backup_codes[1:]:
        authenticator.spend_backup_code(code)
    pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})
    return pending_client


def test_no_backup_codes_left_is_said_in_words(client_without_backup_codes, user, emails_to, run_command):
    home_page, settings_page = (client_without_backup_codes.get(path).content.decode() for path in ("/", SETTINGS))
    assert "You used your last backup code. Make new ones now." in home_page
    assert NONE_LEFT in settings_page
    assert "Backup codes left" not in settings_page
    assert NONE_LEFT in emails_to(user.email)[-1].body
    assert "no backup codes left" in run_command("twofactor", "status", user.email)
    assert "no backup codes left" in run_command("twofactor", "report")


def test_the_settings_page_reloads_the_block_after_a_change(user, authenticator, backup_codes, secret):
    browser = sign_in(new_client(htmx=True), user, code=code_now(secret))
    page = browser.get(SETTINGS).content.decode()
    assert f'hx-get="{STATUS}"' in page
    assert "twofactor-changed" in page
    response = browser.post(REGENERATE, {"password": PASSWORD, "backup_code": backup_codes[0]})
    assert response["HX-Trigger"] == "twofactor-changed"


def test_an_expired_session_redirects_to_login_and_back_to_the_page(user):
    here = {"HX-Current-URL": f"http://testserver{SETTINGS}"}
    response = new_client(htmx=True).get(STATUS, headers=here)
    assert response.status_code == 204
    assert response["HX-Redirect"] == f"{LOGIN}?next=%2Faccounts%2F2fa%2F"


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_not_allowed(signed_in_client, method):
    assert getattr(signed_in_client, method)(STATUS).status_code == 405
