"""Removing a passkey, and removing the authenticator app: what both have in common is tested for both."""

import pytest

from twofactor import backup_codes
from twofactor.models import AuthenticatorApp, BackupCode, Passkey, SecondFactor
from twofactor.tests.constants import DISABLE, PASSWORD, SETTINGS
from twofactor.tests.helpers import is_signed_in, proof, wrong_code
from twofactor.tests.passkeys import sign
from twofactor.tests.responses import backup_codes_on, errors, redirect_target
from twofactor.tests.rows import event_kinds

REMOVE_APP = f"{SETTINGS}remove-app/"
CREDENTIALS = ["app", "passkey"]


@pytest.fixture
def pages(passkey):
    """The page that removes each credential."""
    return {"app": REMOVE_APP, "passkey": f"{SETTINGS}passkeys/{passkey.pk}/remove/"}


def credentials():
    return ["app"] * AuthenticatorApp.objects.count() + ["passkey"] * Passkey.objects.count()


@pytest.mark.parametrize(
    "removed, kept, kind", [("app", "passkey", "app_removed"), ("passkey", "app", "passkey_removed")]
)
def test_it_goes_with_a_proof_and_the_other_credential_keeps_2fa_on(
    client_with_both, user, secret, pages, emails_to, removed, kept, kind
):
    second_factor = SecondFactor.objects.get()
    session_key = client_with_both.session.session_key
    assert redirect_target(client_with_both.post(pages[removed], proof(secret))) == SETTINGS
    assert credentials() == [kept]
    assert SecondFactor.objects.get().version != second_factor.version
    assert BackupCode.objects.filter(used_at=None).count() == 10
    assert client_with_both.session.session_key != session_key
    assert is_signed_in(client_with_both)
    assert event_kinds() == [kind]
    assert len(emails_to(user.email)) == 1


@pytest.mark.parametrize("removed", CREDENTIALS)
def test_a_passkey_alone_is_proof(client_with_both, pages, key, removed):
    form = client_with_both.get(pages[removed]).context["form"]
    assert "password" not in form.fields
    assert redirect_target(client_with_both.post(pages[removed], sign(key, form))) == SETTINGS
    assert credentials() == [kept for kept in CREDENTIALS if kept != removed]


@pytest.mark.parametrize("removed", CREDENTIALS)
def test_without_a_right_proof_it_stays(client_with_both, pages, secret, removed):
    response = client_with_both.post(pages[removed], {"password": PASSWORD, "code": wrong_code(secret)})
    assert errors(response) == {"code": ["wrong"]}
    assert credentials() == CREDENTIALS
    assert event_kinds() == []


def test_the_last_passkey_leads_to_turning_2fa_off(client_with_both, pages, secret):
    client_with_both.post(REMOVE_APP, proof(secret))
    for response in (client_with_both.get(pages["passkey"]), client_with_both.post(pages["passkey"], proof(secret))):
        assert redirect_target(response) == DISABLE
    assert credentials() == ["passkey"]
    assert redirect_target(client_with_both.get(REMOVE_APP)) == SETTINGS  # it is gone


def test_the_only_app_leads_to_turning_2fa_off(client_with_2fa, secret):
    assert redirect_target(client_with_2fa.post(REMOVE_APP, proof(secret))) == DISABLE
    assert credentials() == ["app"]


def test_new_backup_codes_replace_imported_ones_that_need_the_app(client_with_both, secret):
    BackupCode.objects.filter(pk=BackupCode.objects.first().pk).update(digest=f"{backup_codes.KEYED}none")
    assert len(backup_codes_on(client_with_both.post(REMOVE_APP, proof(secret)))) == 10
