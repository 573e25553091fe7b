"""Backup codes, and the password reset."""

import pytest

from twofactor import codes
from twofactor.models import Authenticator, ChangedMeanwhile
from twofactor.tests.constants import NOW, UNKNOWN_BACKUP_CODE
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

WEEK = 7 * 24 * 60 * 60


def test_a_backup_code_works_once(authenticator, backup_codes):
    stale = Authenticator.objects.get()
    assert authenticator.spend_backup_code(backup_codes[0])
    assert not authenticator.spend_backup_code(backup_codes[0])
    assert not stale.spend_backup_code(backup_codes[0])
    assert authenticator.codes_left == 9
    assert authenticator.spend_backup_code(backup_codes[1])
    assert authenticator.codes_left == 8


def test_a_used_backup_code_is_refused_in_every_spelling(authenticator, backup_codes):
    code = backup_codes[0]
    full_width = code.lower().translate({48 + i: 0xFF10 + i for i in range(10)}).replace("-", "\u2013\u200b")
    assert authenticator.spend_backup_code(full_width)
    for again in (full_width, code, code.replace("-", "\u00a0")):
        assert not authenticator.spend_backup_code(again)


@pytest.mark.parametrize("typed", [UNKNOWN_BACKUP_CODE, "", "123456", "\0", "\ud800", "0" * 3_000_000])
def test_a_wrong_backup_code_is_refused_and_changes_no_counter(authenticator, typed):
    assert not authenticator.spend_backup_code(typed)
    assert (*counters(authenticator), authenticator.codes_left) == (0, 0, 0, 10)


def test_a_try_takes_one_hash_and_a_malformed_code_none(authenticator, backup_codes, monkeypatch):
    calls = []
    real = codes.digest
    monkeypatch.setattr(codes, "digest", lambda *args, **kwargs: calls.append(args) or real(*args, **kwargs))
    for typed, hashes in [(backup_codes[9], 1), (backup_codes[9], 1), (UNKNOWN_BACKUP_CODE, 1), ("nonsense", 0)]:
        calls.clear()
        authenticator.spend_backup_code(typed)
        assert len(calls) == hashes


@pytest.mark.parametrize("counters", [
    {"failures": 9, "delayed_until": NOW + 3600}, {"budget_spent": 100, "budget_began": NOW},
])  # fmt: skip
def test_a_backup_code_ends_a_delay_and_a_lock(authenticator, backup_codes, code_at, counters):
    update(authenticator, **counters)
    assert authenticator.seconds_to_wait(now=NOW) > 0
    assert authenticator.spend_backup_code(backup_codes[0])
    assert authenticator.seconds_to_wait(now=NOW) == 0
    assert authenticator.accept(code_at(NOW), now=NOW)


def test_a_backup_code_works_for_its_user_and_changes_the_row_of_its_user_only(bob, authenticator, backup_codes):
    Authenticator.objects.update(failures=9, delayed_until=NOW + 3600, budget_spent=100)
    assert not bob.authenticator.spend_backup_code(backup_codes[0])
    assert authenticator.spend_backup_code(backup_codes[0])
    assert (*counters(authenticator), authenticator.codes_left) == (0, 0, 0, 9)
    assert (*counters(bob.authenticator), bob.authenticator.codes_left) == (9, NOW + 3600, 100, 10)


def test_a_stale_row_stays_stale_after_a_backup_code(authenticator, backup_codes):
    Authenticator.objects.update(version="another")
    assert authenticator.spend_backup_code(backup_codes[0])
    with pytest.raises(ChangedMeanwhile):
        authenticator.turn_off()


def test_a_password_reset_always_ends_the_delay(authenticator):
    for _ in range(2):
        update(authenticator, failures=9, delayed_until=NOW + 3600)
        authenticator.unlock_after_password_reset()
        assert (*counters(authenticator), authenticator.codes_left) == (0, 0, 0, 10)


def test_a_password_reset_gives_a_locked_account_twenty_tries_once_a_week(authenticator, bob):
    def tries_left(now, of=authenticator):
        of.unlock_after_password_reset(now=now)
        of.refresh_from_db()
        return 100 - of.budget_spent

    update(authenticator, budget_spent=80, budget_began=NOW)
    assert tries_left(NOW) == 20  # grants nothing, because twenty were left before
    update(authenticator, budget_spent=100)
    assert tries_left(NOW) == 20
    update(authenticator, budget_spent=100)
    assert tries_left(NOW + WEEK - 1) == 0
    update(bob.authenticator, budget_spent=100, budget_began=NOW)
    assert tries_left(NOW + 1, of=bob.authenticator) == 20
    assert tries_left(NOW + WEEK) == 20
