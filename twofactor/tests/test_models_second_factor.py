"""Changes of the row: optimistic locking by version."""

import re

import pytest

from twofactor import codes
from twofactor.models import AuthenticatorApp, BackupCode, ChangedMeanwhile, SecondFactor, TrustedBrowser
from twofactor.tests.constants import NOW

pytestmark = pytest.mark.database

OTHER_SECRET = "B" * 32


def rows():
    return list(SecondFactor.objects.values()), list(BackupCode.objects.values())


def test_2fa_is_off_by_default_and_reading_creates_no_row(user):
    assert SecondFactor.objects.for_user(user) is None
    assert not SecondFactor.objects.exists()


def test_turning_on_returns_ten_codes_and_stores_no_code_and_no_secret_in_clear(user, secret):
    shown = AuthenticatorApp.objects.activate(user, secret=secret)
    assert len(set(shown)) == 10
    assert all(re.fullmatch(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", code) for code in shown)
    row = SecondFactor.objects.for_user(user)
    assert (row.codes_left, row.secret) == (10, secret)
    assert len(row.version) == 16
    for hidden in [secret, *shown, *map(codes.normalize, shown)]:
        assert hidden not in str(rows())


def test_the_code_that_turned_2fa_on_is_used(user, secret, code_at):
    AuthenticatorApp.objects.activate(user, secret=secret, last_time_step=NOW // 30)
    row = SecondFactor.objects.for_user(user)
    assert [steps for steps in (-1, 0, 1) if row.accept(code_at(NOW + 30 * steps), now=NOW)] == [1]


def test_a_new_phone_replaces_secret_codes_version_and_counters(user, second_factor, backup_codes):
    SecondFactor.objects.update(failures=7, delayed_until=NOW + 99, budget_spent=50, last_time_step=NOW)
    assert user.second_factor.app.secret != OTHER_SECRET
    fresh = AuthenticatorApp.objects.activate(user, secret=OTHER_SECRET, replaces=second_factor.version)
    row = SecondFactor.objects.get(user=user)
    assert row.pk == second_factor.pk
    assert user.second_factor.version == row.version
    assert row.version != second_factor.version
    assert (row.failures, row.delayed_until, row.budget_spent, row.last_time_step) == (0, 0, 0, -1)
    assert (row.secret, row.codes_left) == (OTHER_SECRET, 10)
    assert not row.spend_backup_code(backup_codes[0])
    assert row.spend_backup_code(fresh[0])


@pytest.mark.parametrize("replaces, is_on, happens", [
    (None, False, True), (None, True, True), ("", False, True), ("", True, False), ("the version", True, True),
    ("another", True, False), ("another", False, False),
])  # fmt: skip
def test_activate_requires_the_version_that_the_caller_read(user, secret, replaces, is_on, happens):
    if is_on:
        AuthenticatorApp.objects.activate(user, secret=secret)
        SecondFactor.objects.update(version="the version")
    before = rows()
    if happens:
        AuthenticatorApp.objects.activate(user, secret=OTHER_SECRET, replaces=replaces)
        assert SecondFactor.objects.get().secret == OTHER_SECRET
    else:
        with pytest.raises(ChangedMeanwhile):
            AuthenticatorApp.objects.activate(user, secret=OTHER_SECRET, replaces=replaces)
        assert rows() == before


def test_new_backup_codes_invalidate_the_old_ones_and_keep_the_secret(second_factor, backup_codes, secret):
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
    old = SecondFactor.objects.get()
    fresh = second_factor.regenerate_backup_codes()
    row = SecondFactor.objects.get()
    assert row.version == second_factor.version != old.version
    assert row.updated_at > old.updated_at
    assert bytes(row.backup_salt) != bytes(old.backup_salt)
    assert (row.secret, row.codes_left) == (secret, 10)
    assert not any(row.spend_backup_code(code) for code in backup_codes)
    assert all(row.spend_backup_code(code) for code in fresh)


@pytest.mark.parametrize("change", ["regenerate_backup_codes", "turn_off"])
def test_a_change_based_on_an_older_version_is_refused(second_factor, change):
    stale = SecondFactor.objects.get()
    fresh = second_factor.regenerate_backup_codes()
    with pytest.raises(ChangedMeanwhile):
        getattr(stale, change)()
    assert SecondFactor.objects.get().spend_backup_code(fresh[0])


def test_turning_off_deletes_the_row_and_its_codes(second_factor):
    second_factor.turn_off()
    assert rows() == ([], [])


def test_the_token_of_a_trusted_browser_is_stored_as_its_sha_256():
    assert TrustedBrowser.digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
