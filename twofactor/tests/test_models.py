"""Codes from the app: which are accepted, and which are charged. Time is an argument."""

import logging

import pytest

from twofactor.models import Authenticator, Verdict
from twofactor.tests.helpers import NOW, code_now

pytestmark = pytest.mark.database

ACCEPTED, WRONG, UNREADABLE = Verdict.ACCEPTED, Verdict.WRONG, Verdict.UNREADABLE
OTHER_KEY = "other:b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItISE="


def counters(authenticator):
    """Read the row again, and return its counters."""
    authenticator.refresh_from_db()
    return authenticator.failures, authenticator.delayed_until, authenticator.budget_spent


# --- What is accepted -----------------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, 1])
@pytest.mark.parametrize("steps_off", range(-3, 4))
def test_a_code_is_accepted_inside_the_drift_window_only(authenticator, code_at, settings, steps_off, window):
    settings.TWOFACTOR_DRIFT_WINDOW = window
    assert authenticator.accept(code_at(NOW + 30 * steps_off), now=NOW) is (abs(steps_off) <= window)


@pytest.mark.parametrize("used", [-1, 0, 1])
@pytest.mark.parametrize("tried", [-1, 0, 1])
def test_only_a_newer_code_is_accepted_after_a_used_one(authenticator, code_at, used, tried):
    assert authenticator.accept(code_at(NOW + 30 * used), now=NOW)
    assert authenticator.accept(code_at(NOW + 30 * tried), now=NOW) is (tried > used)


def test_a_used_code_is_refused_in_the_next_time_step(authenticator, code_at):
    assert authenticator.accept(code_at(NOW), now=NOW)
    assert not authenticator.accept(code_at(NOW), now=NOW + 30)


def test_an_older_code_is_refused_after_a_newer_one(authenticator, code_at):
    assert authenticator.accept(code_at(NOW + 30), now=NOW)
    assert not authenticator.accept(code_at(NOW), now=NOW)


def test_a_used_code_is_refused_after_the_clock_is_set_back(authenticator, code_at):
    assert authenticator.accept(code_at(NOW + 90), now=NOW + 90)
    assert not authenticator.accept(code_at(NOW), now=NOW)


@pytest.mark.parametrize("spell", ["{0}", "{1} {2}", " {1}-{2} ", "{1}\u2009{2}", "\u200f{1}\u2013{2}", "{3}", "{4}"])
def test_a_used_code_is_refused_in_every_spelling(authenticator, code_at, spell):
    code = code_at(NOW)
    full_width, arabic = (code.translate({48 + i: zero + i for i in range(10)}) for zero in (0xFF10, 0x0660))
    typed = spell.format(code, code[:3], code[3:], full_width, arabic)
    assert authenticator.accept(typed, now=NOW)
    for again in (typed, code, full_width, arabic):
        assert not authenticator.accept(again, now=NOW)


def test_a_used_code_is_refused_by_a_process_with_a_stale_row(authenticator, code_at):
    stale = Authenticator.objects.get(pk=authenticator.pk)
    assert authenticator.accept(code_at(NOW), now=NOW)
    assert not stale.accept(code_at(NOW), now=NOW)


def test_a_code_of_a_replaced_secret_is_refused_with_a_stale_row(user, authenticator, code_at):
    stale = Authenticator.objects.get(pk=authenticator.pk)
    Authenticator.objects.activate(user, secret="A" * 32)
    assert not stale.accept(code_at(NOW), now=NOW)


def test_a_code_of_another_user_is_refused(make_user, authenticator, code_at):
    bob = make_user("bob@example.com")
    Authenticator.objects.activate(bob, secret="B" * 32)
    assert not bob.authenticator.accept(code_at(NOW), now=NOW)


def test_a_sealed_secret_copied_to_another_user_does_not_open(make_user, authenticator, code_at):
    bob = make_user("bob@example.com")
    Authenticator.objects.activate(bob, secret="B" * 32)
    Authenticator.objects.filter(user=bob).update(sealed_secret=authenticator.sealed_secret)
    assert not Authenticator.objects.for_user(bob).accept(code_at(NOW), now=NOW)


def test_codes_of_oathtool_are_accepted(authenticator, secret, oathtool):
    assert authenticator.accept(oathtool(secret, NOW), now=NOW)


def test_the_current_time_is_the_default(authenticator, secret):
    assert authenticator.accept(code_now(secret))


# --- What is charged ------------------------------------------------------------------------------


def test_a_wrong_code_is_charged(authenticator, invalid_code):
    assert authenticator.judge(invalid_code, now=NOW) is WRONG
    assert counters(authenticator) == (1, 0, 1)


def test_a_used_code_is_charged_like_a_wrong_one(authenticator, code_at):
    authenticator.accept(code_at(NOW), now=NOW)
    assert authenticator.judge(code_at(NOW), now=NOW) is WRONG
    assert counters(authenticator) == (1, 0, 1)


def test_a_correct_code_resets_the_failures_but_not_the_budget(authenticator, code_at, invalid_code):
    for _ in range(4):
        authenticator.judge(invalid_code, now=NOW)
    assert authenticator.judge(code_at(NOW), now=NOW) is ACCEPTED
    assert counters(authenticator) == (0, 0, 4)


def test_a_correct_code_is_not_charged(authenticator, code_at):
    assert authenticator.accept(code_at(NOW), now=NOW)
    assert counters(authenticator) == (0, 0, 0)


@pytest.mark.parametrize(
    "malformed", ["", " ", "12345", "1234567", "abcdef", "¹²³⁴⁵⁶", "\0" * 6, "\ud800", "9" * 3_000_000]
)
def test_a_malformed_code_is_not_charged(authenticator, malformed):
    assert authenticator.judge(malformed, now=NOW) is WRONG
    assert counters(authenticator) == (0, 0, 0)


# --- The keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["key", "row"])
def test_a_secret_that_does_not_open_is_logged_and_not_charged(authenticator, code_at, settings, caplog, broken):
    if broken == "key":
        settings.TWOFACTOR_KEYS = OTHER_KEY
    else:
        authenticator.sealed_secret = authenticator.sealed_secret[:-8]
    with caplog.at_level(logging.INFO, "twofactor"):
        assert authenticator.judge(code_at(NOW), now=NOW) is UNREADABLE
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert f"user={authenticator.user_id}" in record.getMessage()
    assert code_at(NOW) not in caplog.text
    assert counters(authenticator) == (0, 0, 0)


def test_backup_codes_work_while_the_secret_does_not_open(authenticator, backup_codes, settings):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    assert authenticator.spend_backup_code(backup_codes[0])
