"""Imported backup codes have few bits: their digests need the secret, and wrong ones count for the throttle."""

import hmac
import secrets

import pytest
from django.contrib.auth.hashers import check_password, make_password

from twofactor import backup_codes as pure
from twofactor.attempts import Attempt
from twofactor.forms import BackupCodeForm, CodeForm
from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor, backup_code
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW, UNKNOWN_BACKUP_CODE
from twofactor.tests.responses import error_codes
from twofactor.tests.rows import counters, event_kinds, update

pytestmark = pytest.mark.database

DIGITS, TOKEN = "00412857", "abcd2345"
OTHER_KEY = f"other:{'A' * 43}="

judge, spend = BackupCode.objects.judge, BackupCode.objects.spend


def set_backup_codes(second_factor, *digests):
    second_factor.backup_codes.all().delete()
    BackupCode.objects.bulk_create(BackupCode(second_factor=second_factor, digest=digest) for digest in digests)
    return SecondFactor.objects.get(pk=second_factor.pk)


@pytest.fixture
def imported(second_factor, secret):
    """A second factor with two imported codes."""
    key = {"secret": secret, "owner": str(second_factor.user_id)}
    return set_backup_codes(second_factor, *(pure.imported_digest(code, **key) for code in (DIGITS, TOKEN)))


@pytest.fixture
def hashed(second_factor):
    """A second factor with two imported codes that are hashed like passwords."""
    return set_backup_codes(
        second_factor, *(pure.PASSWORD + make_password(code) for code in ("Ab3dEf9hIj", "Kl3mNo9pQr"))
    )


# --- Storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed, normalized", [
    ("0041-2857", "00412857"), (" abcd 2345\n", "abcd2345"), ("Ab3dEf9hIj", "Ab3dEf9hIj"), ("1234567", None),
    ("x" * 64, "x" * 64), ("x" * 65, None), ("１２３４５６７８", "12345678"), ("abcdefg\0", None), ("é" * 8, None),
])  # fmt: skip
def test_normalizing_removes_spaces_and_dashes_and_refuses_malformed_codes(typed, normalized):
    assert pure.normalize_imported(typed) == normalized


def test_a_digest_depends_on_secret_and_user_and_ignores_case():
    key = hmac.digest(b"A" * 32, b"twofactor: backup codes from another app: 7", "sha256")  # as in earlier versions
    digest = f"hmac-sha256${hmac.digest(key, b'abcd2345', 'sha256').hex()}"
    assert pure.imported_digest("abcd2345", secret="A" * 32, owner="7") == digest
    assert pure.imported_digest("ABCD2345", secret="A" * 32, owner="7") == digest
    assert pure.imported_digest("abcd2345", secret="B" * 32, owner="7") != digest
    assert pure.imported_digest("abcd2345", secret="A" * 32, owner="8") != digest


def test_codes_stay_valid_when_keys_are_rotated(imported, run_command, settings):
    settings.TWOFACTOR_KEYS = f"new:{'A' * 43}=,{settings.TWOFACTOR_KEYS}"
    run_command("twofactor", "rotate-keys")
    assert spend(SecondFactor.objects.get(), DIGITS)


def test_no_code_is_accepted_if_the_secret_cannot_be_decrypted(imported, settings, caplog):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    with pytest.raises(Refused, match="unreadable"):
        judge(imported, DIGITS)
    assert "TOTP and every backup code is refused" in caplog.text
    assert counters(imported) == (0, 0, 0)


def test_no_code_is_accepted_after_a_parallel_request_removed_the_app(imported):
    AuthenticatorApp.objects.all().delete()
    assert not judge(imported, DIGITS)


# --- Single use -----------------------------------------------------------------------------------


def test_a_code_is_accepted_once_in_any_spelling(imported):
    assert spend(imported, "ABCD-2345")
    for typed in ["ABCD-2345", "abcd2345", "aBcD 2345"]:
        assert not spend(imported, typed)
    assert imported.codes_left == 1


def test_a_hashed_code_is_accepted_once_and_is_case_sensitive(hashed):
    assert not judge(hashed, "ab3def9hij")
    assert not judge(hashed, hashed.backup_codes.first().digest)
    assert spend(hashed, "Ab3d-Ef9h-Ij")
    assert not spend(hashed, "Ab3dEf9hIj")
    assert hashed.codes_left == 1


def test_a_try_costs_a_hash_per_unused_hashed_code_and_a_malformed_one_costs_none(hashed, monkeypatch):
    tries = []
    monkeypatch.setattr(backup_code, "check_password", lambda *args: tries.append(args) or check_password(*args))
    for typed, hashes in [(UNKNOWN_BACKUP_CODE, 2), ("Kl3mNo9pQr", 2), (UNKNOWN_BACKUP_CODE, 1), ("short", 0)]:
        tries.clear()
        judge(hashed, typed)
        assert len(tries) <= hashes
        assert bool(tries) is bool(hashes)


def test_a_try_costs_no_password_hash_if_no_code_is_hashed(imported, monkeypatch):
    monkeypatch.setattr(backup_code, "check_password", None)
    assert not judge(imported, UNKNOWN_BACKUP_CODE)


@pytest.mark.parametrize("make", [
    lambda row: row.regenerate_backup_codes(), lambda row: AuthenticatorApp.objects.activate(row.user, secret="C" * 32),
], ids=["regenerate", "activate"])  # fmt: skip
def test_new_codes_replace_imported_codes(imported, make):
    fresh = make(imported)
    row = SecondFactor.objects.get()
    assert not row.has_imported_codes
    assert not spend(row, DIGITS)
    assert spend(row, fresh[0])


# --- Guessing -------------------------------------------------------------------------------------


def test_wrong_codes_are_charged_to_the_account_and_the_fifth_delays_it(imported, code_at):
    for failures in range(1, 5):
        assert not judge(imported, UNKNOWN_BACKUP_CODE, now=NOW)
        assert counters(imported) == (failures, 0, failures)
    assert not judge(imported, UNKNOWN_BACKUP_CODE, now=NOW)
    assert counters(imported) == (5, NOW + 30, 5)
    with pytest.raises(Refused, match="delayed"):
        judge(imported, DIGITS, now=NOW + 29)
    with pytest.raises(Refused, match="delayed"):
        imported.app.judge(code_at(NOW + 29), now=NOW + 29)
    assert not spend(imported, DIGITS, now=NOW + 29)
    assert spend(imported, DIGITS, now=NOW + 30)
    assert counters(imported) == (0, 0, 5)


@pytest.mark.parametrize("kind, code", [("imported", DIGITS), ("hashed", "Ab3dEf9hIj")])
def test_the_budget_locks_imported_codes_until_a_password_reset(kind, code, request):
    row = request.getfixturevalue(kind)
    update(row, budget_spent=100, budget_began=NOW)
    with pytest.raises(Refused, match="delayed"):
        judge(row, code, now=NOW)
    row.unlock_after_password_reset(now=NOW)
    row.refresh_from_db()
    assert judge(row, code, now=NOW)


# --- Forms and pages ------------------------------------------------------------------------------


@pytest.fixture
def bind(request_, user):
    def bind(code, form=BackupCodeForm):
        second_factor = SecondFactor.objects.get(user=user)
        attempt = Attempt(request_, second_factor, pending_id=secrets.token_hex(16))
        return form({form.field_name: code}, attempt=attempt)

    return bind


def test_the_fields_recognize_any_shape_only_if_there_are_imported_codes(bind, second_factor, request):
    assert error_codes(bind(DIGITS)) == {"backup_code": ["malformed"]}
    assert error_codes(bind("0041 2857", CodeForm)) == {"code": ["malformed"]}
    imported = request.getfixturevalue("imported")
    assert error_codes(bind("0041 2857", CodeForm)) == {"code": ["backup_code"]}
    form = bind("12345")
    assert form.errors["backup_code"] == ["Enter the backup code the way you saved it."]
    assert form.fields["backup_code"].widget.attrs["autocapitalize"] == "none"
    assert bind("0041 2857").is_valid()
    assert counters(imported) == (0, 0, 0)


def test_during_a_delay_the_form_does_not_offer_backup_codes(bind, imported):
    for _ in range(5):
        form = bind(UNKNOWN_BACKUP_CODE)
        assert error_codes(form) == {"backup_code": ["wrong"]}
    assert event_kinds() == ["wrong_codes"]
    form = bind(DIGITS)
    assert error_codes(form) == {"backup_code": ["delayed"]}
    assert "or reset your password to end the wait" in form.errors["backup_code"][0]
    assert form.status == 429
    assert imported.codes_left == 2


def test_with_an_unreadable_secret_the_form_does_not_offer_backup_codes(bind, imported, settings):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    form = bind(DIGITS)
    assert error_codes(form) == {"backup_code": ["unreadable"]}
    assert "contact support" in form.errors["backup_code"][0]


def test_the_email_about_a_lock_does_not_offer_backup_codes(bind, imported, user, emails_to):
    SecondFactor.objects.update(budget_spent=99, budget_began=4_000_000_000)
    assert not bind(UNKNOWN_BACKUP_CODE).is_valid()
    (email,) = emails_to(user.email)
    assert "we locked all codes" in email.body
    assert "sign in with a backup code" not in email.body
