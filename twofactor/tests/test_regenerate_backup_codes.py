"""New backup codes. What this page has in common with the other changes is tested in test_pages.py."""

import re

import pytest

from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import HTMX, REGENERATE, SETTINGS
from twofactor.tests.helpers import proof
from twofactor.tests.responses import (
    backup_codes_on,
    errors,
    is_full_page,
    message_levels,
    messages_on,
    redirect_target,
)

SAVED = "Your new backup codes are ready. The old ones no longer work."


def spend(code):
    return BackupCode.objects.spend(SecondFactor.objects.get(), code)


def test_password_and_code_give_ten_new_codes_and_invalidate_the_old_ones(client_with_2fa, backup_codes, secret):
    assert not backup_codes_on(client_with_2fa.get(REGENERATE))
    new_codes = backup_codes_on(client_with_2fa.post(REGENERATE, proof(secret)))
    assert len(new_codes) == 10
    assert [code for code in (backup_codes[0], *new_codes) if spend(code)] == new_codes
    assert AuthenticatorApp.objects.get().secret == secret
    for path in (REGENERATE, SETTINGS, "/"):
        assert not set(new_codes) & set(backup_codes_on(client_with_2fa.get(path)))


def test_htmx_gets_the_panel_of_the_codes(client_with_2fa, secret):
    response = client_with_2fa.post(REGENERATE, proof(secret), headers=HTMX)
    assert not is_full_page(response)
    assert (response["HX-Replace-Url"], response["HX-Trigger"]) == (SETTINGS, "twofactor-changed")


def test_after_the_codes_are_saved_the_settings_say_so_once(client_with_2fa, secret):
    client_with_2fa.post(REGENERATE, proof(secret))
    client_with_2fa.get(SETTINGS, {"saved": "on"})
    assert messages_on(client_with_2fa.get(SETTINGS)) == [SAVED]
    client_with_2fa.get(SETTINGS, {"saved": "on"})
    assert messages_on(client_with_2fa.get(SETTINGS)) == []


def test_a_form_sent_again_creates_no_new_codes(client_with_2fa, secret):
    typed = proof(secret)
    codes = backup_codes_on(client_with_2fa.post(REGENERATE, typed))
    assert redirect_target(client_with_2fa.post(REGENERATE, typed)) == SETTINGS
    assert message_levels(client_with_2fa.get(SETTINGS)) == ["warning"]
    assert errors(client_with_2fa.post(REGENERATE, typed)) == {"code": ["wrong"]}
    assert spend(codes[0])


@pytest.mark.parametrize("issuer, file_name", [
    ('Acme, "Inc."', "acme-inc-backup-codes.txt"), ("../.hidden <b>\n", "hidden-b-backup-codes.txt"),
    ("二要素🔐", "backup-codes.txt"), ("x" * 300, f"{'x' * 64}-backup-codes.txt"),
])  # fmt: skip
def test_any_site_name_gives_a_valid_file_name(client_with_2fa, secret, settings, issuer, file_name):
    settings.TWOFACTOR_ISSUER = issuer
    response = client_with_2fa.post(REGENERATE, proof(secret))
    assert re.findall(r'data-download="([^"]*)"', response.content.decode()) == [file_name]
