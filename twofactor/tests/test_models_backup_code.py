"""Backup codes: each works once, and wrong ones are not charged to the account."""

import pytest
from django.utils import timezone

from twofactor import backup_codes as pure
from twofactor.models import BackupCode, SecondFactor
from twofactor.tests.constants import NOW, UNKNOWN_BACKUP_CODE
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

spend = BackupCode.objects.spend


def test_a_backup_code_works_once(second_factor, backup_codes):
    stale = SecondFactor.objects.get()
    assert spend(second_factor, backup_codes[0])
    assert not spend(second_factor, backup_codes[0])
    assert not spend(stale, backup_codes[0])
    assert second_factor.codes_left == 9
    assert spend(second_factor, backup_codes[1])
    assert second_factor.codes_left == 8


def test_a_used_backup_code_is_refused_in_every_spelling(second_factor, backup_codes):
    code = backup_codes[0]
    full_width = code.lower().translate({48 + i: 0xFF10 + i for i in range(10)}).replace("-", "\u2013\u200b")
    assert spend(second_factor, full_width)
    for again in (full_width, code, code.replace("-", "\u00a0")):
        assert not spend(second_factor, again)


@pytest.mark.parametrize("typed", [UNKNOWN_BACKUP_CODE, "", "123456", "\0", "\ud800", "0" * 3_000_000])
def test_a_wrong_backup_code_is_refused_and_changes_no_counter(second_factor, typed):
    assert not spend(second_factor, typed)
    assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 10)


@pytest.mark.parametrize("are_used", [False, True])
def test_a_try_takes_one_hash_and_a_malformed_code_none(second_factor, backup_codes, monkeypatch, are_used):
    """Timing equalization: neither the typed code nor the number of unused codes matters."""
    if are_used:
        BackupCode.objects.update(used_at=timezone.now())
    calls = []
    real = pure.digest
    monkeypatch.setattr(pure, "digest", lambda *args, **kwargs: calls.append(args) or real(*args, **kwargs))
    for typed, hashes in [(backup_codes[9], 1), (backup_codes[9], 1), (UNKNOWN_BACKUP_CODE, 1), ("nonsense", 0)]:
        calls.clear()
        spend(second_factor, typed)
        assert len(calls) == hashes


@pytest.mark.parametrize("fields", [
    {"failures": 9, "delayed_until": NOW + 3600}, {"budget_spent": 100, "budget_began": NOW},
])  # fmt: skip
def test_a_backup_code_ends_a_delay_and_a_lock(second_factor, backup_codes, code_at, fields):
    update(second_factor, **fields)
    assert spend(second_factor, backup_codes[0])
    assert second_factor.app.accept(code_at(NOW), now=NOW)


def test_a_backup_code_works_for_its_user_and_changes_the_row_of_its_user_only(bob, second_factor, backup_codes):
    SecondFactor.objects.update(failures=9, delayed_until=NOW + 3600, budget_spent=100)
    bobs = SecondFactor.objects.get(user=bob)
    assert not spend(bobs, backup_codes[0])
    assert spend(second_factor, backup_codes[0])
    assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 9)
    assert (*counters(bobs), bobs.codes_left) == (9, NOW + 3600, 100, 10)


def test_the_digests_of_a_set_have_one_salt_which_the_next_set_has_not(second_factor):
    def salts():
        return {pure.salt_of(code.digest) for code in second_factor.backup_codes.all()}

    old = salts()
    second_factor.regenerate_backup_codes()
    assert len(old) == len(salts()) == 1
    assert salts() != old


@pytest.mark.parametrize("prefix, is_imported", [(pure.OWN, False), (pure.KEYED, True), (pure.PASSWORD, True)])
def test_the_prefix_of_a_digest_says_whether_the_code_is_imported(second_factor, prefix, is_imported):
    code = second_factor.backup_codes.last()
    assert not second_factor.has_imported_codes
    code.digest = f"{prefix}another"
    code.save()
    assert code.is_imported is second_factor.has_imported_codes is is_imported
