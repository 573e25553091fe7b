"""Turning on, a new phone, new codes, turning off: only over what the caller saw."""

import re

import pytest

from conftest import NOW
from twofactor import codes
from twofactor.models import Authenticator, BackupCode, ChangedMeanwhile

STEP = NOW // 30
OTHER_SECRET = "B" * 32


def put(authenticator, **fields):
    Authenticator.objects.filter(pk=authenticator.pk).update(**fields)


# --- Turning on -----------------------------------------------------------------------------------


def test_2fa_is_off_until_it_is_turned_on_and_looking_makes_no_row(user):
    assert Authenticator.objects.for_user(user) is None
    assert not Authenticator.objects.exists()


def test_turning_on_gives_ten_codes_in_clear_and_keeps_none(user, secret):
    shown = Authenticator.objects.activate(user, secret=secret)
    assert len(set(shown)) == 10
    assert all(re.fullmatch(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", code) for code in shown)
    row = Authenticator.objects.for_user(user)
    assert row.codes_left == 10
    kept = str(Authenticator.objects.values().get()) + str(list(BackupCode.objects.values()))
    for hidden in [secret, *shown, *map(codes.normalize, shown)]:
        assert hidden not in kept


def test_the_secret_lies_sealed_and_opens_for_its_owner(user, authenticator, secret):
    assert authenticator.sealed_secret.startswith("v1.test.")
    assert authenticator.secret == secret


def test_the_code_that_turned_it_on_is_used_up(user, secret, code_at):
    Authenticator.objects.activate(user, secret=secret, last_time_step=STEP)
    row = Authenticator.objects.for_user(user)
    assert not row.accept(code_at(NOW - 30), now=NOW)
    assert not row.accept(code_at(NOW), now=NOW)
    assert row.accept(code_at(NOW + 30), now=NOW)


def test_a_new_phone_replaces_secret_codes_version_and_counters(user, authenticator, backup_codes, code_at):
    put(authenticator, failures=7, delayed_until=NOW + 99, budget_spent=50)
    fresh = Authenticator.objects.activate(user, secret=OTHER_SECRET, replaces=authenticator.version)
    row = Authenticator.objects.get(user=user)
    assert row.pk == authenticator.pk
    assert row.version != authenticator.version
    assert (row.failures, row.delayed_until, row.budget_spent) == (0, 0, 0)
    assert row.secret == OTHER_SECRET
    assert not row.accept(code_at(NOW), now=NOW)
    assert not row.spend_backup_code(backup_codes[0])
    assert row.codes_left == 10
    assert row.spend_backup_code(fresh[0])


@pytest.mark.parametrize("replaces, is_on, happens", [
    (None, False, True), (None, True, True),
    ("", False, True), ("", True, False),
    ("the version", True, True), ("another", True, False), ("another", False, False),
])  # fmt: skip
def test_it_is_turned_on_only_over_what_the_caller_saw(user, secret, replaces, is_on, happens):
    if is_on:
        Authenticator.objects.activate(user, secret=secret)
        Authenticator.objects.update(version="the version")
    before = list(Authenticator.objects.values()), list(BackupCode.objects.values())
    if happens:
        Authenticator.objects.activate(user, secret=OTHER_SECRET, replaces=replaces)
        assert Authenticator.objects.get().secret == OTHER_SECRET
    else:
        with pytest.raises(ChangedMeanwhile):
            Authenticator.objects.activate(user, secret=OTHER_SECRET, replaces=replaces)
        assert (list(Authenticator.objects.values()), list(BackupCode.objects.values())) == before


def test_two_setups_at_once_turn_it_on_once(user, secret):
    Authenticator.objects.activate(user, secret=secret, replaces="")
    with pytest.raises(ChangedMeanwhile):
        Authenticator.objects.activate(user, secret=OTHER_SECRET, replaces="")
    assert Authenticator.objects.get().secret == secret


# --- New codes and turning off --------------------------------------------------------------------


def test_new_backup_codes_kill_the_old_ones_and_leave_the_secret(authenticator, backup_codes, secret):
    version, salt = authenticator.version, bytes(authenticator.backup_salt)
    fresh = authenticator.regenerate_backup_codes()
    row = Authenticator.objects.get()
    assert row.version == authenticator.version != version
    assert bytes(row.backup_salt) != salt
    assert row.secret == secret
    assert row.codes_left == 10
    assert not any(row.spend_backup_code(code) for code in backup_codes)
    assert all(row.spend_backup_code(code) for code in fresh)


@pytest.mark.parametrize("change", ["regenerate_backup_codes", "turn_off"])
def test_whoever_saw_an_older_version_changes_nothing(authenticator, change):
    stale = Authenticator.objects.get()
    fresh = authenticator.regenerate_backup_codes()
    with pytest.raises(ChangedMeanwhile):
        getattr(stale, change)()
    assert Authenticator.objects.get().spend_backup_code(fresh[0])


def test_turning_off_deletes_the_row_and_its_codes(user, authenticator):
    authenticator.turn_off()
    assert Authenticator.objects.for_user(user) is None
    assert not BackupCode.objects.exists()


def test_old_codes_stay_dead_after_off_and_on_again(user, authenticator, backup_codes, secret):
    authenticator.turn_off()
    Authenticator.objects.activate(user, secret=secret)
    assert not any(Authenticator.objects.get().spend_backup_code(code) for code in backup_codes)
