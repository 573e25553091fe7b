"""Backup codes, and the password reset."""

import pytest

from twofactor import codes
from twofactor.models import BackupCode, ChangedMeanwhile, SecondFactor
from twofactor.tests.constants import NOW, UNKNOWN_BACKUP_CODE
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

WEEK = 7 * 24 * 60 * 60


def test_a_backup_code_works_once(second_factor, backup_codes):
    stale = SecondFactor.objects.get()
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
    assert not BackupCode.objects.spend(second_factor, backup_codes[0])
    assert not stale.spend_backup_code(backup_codes[0])
    assert second_factor.codes_left == 9
    assert BackupCode.objects.spend(second_factor, backup_codes[1])
    assert second_factor.codes_left == 8


def test_a_used_backup_code_is_refused_in_every_spelling(second_factor, backup_codes):
    code = backup_codes[0]
    full_width = code.lower().translate({48 + i: 0xFF10 + i for i in range(10)}).replace("-", "\u2013\u200b")
    assert BackupCode.objects.spend(second_factor, full_width)
    for again in (full_width, code, code.replace("-", "\u00a0")):
        assert not BackupCode.objects.spend(second_factor, again)


@pytest.mark.parametrize("typed", [UNKNOWN_BACKUP_CODE, "", "123456", "\0", "\ud800", "0" * 3_000_000])
def test_a_wrong_backup_code_is_refused_and_changes_no_counter(second_factor, typed):
    assert not BackupCode.objects.spend(second_factor, typed)
    assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 10)


def test_a_try_takes_one_hash_and_a_malformed_code_none(second_factor, backup_codes, monkeypatch):
    calls = []
    real = codes.digest
    monkeypatch.setattr(codes, "digest", lambda *args, **kwargs: calls.append(args) or real(*args, **kwargs))
    for typed, hashes in [(backup_codes[9], 1), (backup_codes[9], 1), (UNKNOWN_BACKUP_CODE, 1), ("nonsense", 0)]:
        calls.clear()
        BackupCode.objects.spend(second_factor, typed)
        assert len(calls) == hashes


@pytest.mark.parametrize("counters", [
    {"failures": 9, "delayed_until": NOW + 3600}, {"budget_spent": 100, "budget_began": NOW},
])  # fmt: skip
def test_a_backup_code_ends_a_delay_and_a_lock(second_factor, backup_codes, code_at, counters):
    update(second_factor, **counters)
    assert second_factor.seconds_to_wait(now=NOW) > 0
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
    assert second_factor.seconds_to_wait(now=NOW) == 0
    assert second_factor.app.accept(code_at(NOW), now=NOW)


def test_a_backup_code_works_for_its_user_and_changes_the_row_of_its_user_only(bob, second_factor, backup_codes):
    SecondFactor.objects.update(failures=9, delayed_until=NOW + 3600, budget_spent=100)
    assert not bob.BackupCode.objects.spend(second_factor, backup_codes[0])
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
    assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 9)
    assert (*counters(bob.second_factor), bob.second_factor.codes_left) == (9, NOW + 3600, 100, 10)


def test_a_stale_row_stays_stale_after_a_backup_code(second_factor, backup_codes):
    SecondFactor.objects.update(version="another")
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
    with pytest.raises(ChangedMeanwhile):
        second_factor.turn_off()


def test_a_password_reset_always_ends_the_delay(second_factor):
    for _ in range(2):
        update(second_factor, failures=9, delayed_until=NOW + 3600)
        second_factor.unlock_after_password_reset()
        assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 10)


def test_a_password_reset_gives_a_locked_account_twenty_tries_once_a_week(second_factor, bob):
    def tries_left(now, of=second_factor):
        of.unlock_after_password_reset(now=now)
        of.refresh_from_db()
        return 100 - of.budget_spent

    update(second_factor, budget_spent=80, budget_began=NOW)
    assert tries_left(NOW) == 20  # grants nothing, because twenty were left before
    update(second_factor, budget_spent=100)
    assert tries_left(NOW) == 20
    update(second_factor, budget_spent=100)
    assert tries_left(NOW + WEEK - 1) == 0
    update(bob.second_factor, budget_spent=100, budget_began=NOW)
    assert tries_left(NOW + 1, of=bob.second_factor) == 20
    assert tries_left(NOW + WEEK) == 20
