"""Codes from the app: which are accepted, and which are charged. Time is an argument."""

import logging

import pytest

from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW
from twofactor.tests.helpers import code_now
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

OTHER_KEY = "other:b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItISE="


@pytest.mark.parametrize("window", [0, 1])
def test_a_code_is_accepted_inside_the_drift_window_only(second_factor, code_at, settings, window):
    settings.TWOFACTOR_DRIFT_WINDOW = window
    accepted = [steps for steps in range(-2, 3) if second_factor.app.accept(code_at(NOW + 30 * steps), now=NOW)]
    assert accepted == list(range(-window, window + 1))


@pytest.mark.parametrize("used, tried, later, accepted", [
    (0, -1, 0, False), (0, 0, 0, False), (0, 1, 0, True), (1, 0, 0, False), (-1, 0, 0, True),
    (0, 0, 1, False),  # in the next time step
    (1, -2, -3, False),  # after the clock was set back
])  # fmt: skip
def test_only_a_newer_code_is_accepted_after_a_used_one(second_factor, code_at, used, tried, later, accepted):
    assert second_factor.app.accept(code_at(NOW + 30 * used), now=NOW)
    assert second_factor.app.accept(code_at(NOW + 30 * tried), now=NOW + 30 * later) is accepted


def test_a_used_code_is_refused_in_every_spelling(second_factor, code_at):
    code = code_at(NOW)
    full_width, arabic = (code.translate({48 + i: zero + i for i in range(10)}) for zero in (0xFF10, 0x0660))
    assert second_factor.app.accept(f"\u200f{full_width[:3]}\u2013{full_width[3:]}", now=NOW)
    for again in (code, full_width, arabic, f"{code[:3]} {code[3:]}"):
        assert not second_factor.app.accept(again, now=NOW)


def test_a_used_code_is_refused_by_a_process_with_a_stale_row(second_factor, code_at):
    stale = AuthenticatorApp.objects.get()
    assert second_factor.app.accept(code_at(NOW), now=NOW)
    assert not stale.accept(code_at(NOW), now=NOW)


def test_a_code_of_a_replaced_app_is_refused_with_a_stale_row(user, second_factor, secret, code_at):
    stale = second_factor.app
    AuthenticatorApp.objects.activate(user, secret=secret)
    assert not stale.accept(code_at(NOW), now=NOW)
    assert AuthenticatorApp.objects.get().accept(code_at(NOW), now=NOW)


def test_a_code_is_wrong_after_a_parallel_request_turned_2fa_off(second_factor, code_at):
    SecondFactor.objects.get().turn_off()
    assert not AuthenticatorApp.objects.judge(second_factor, code_at(NOW), now=NOW)


def test_a_sealed_secret_copied_to_another_user_does_not_open(bob, second_factor, code_at):
    AuthenticatorApp.objects.update(sealed_secret=second_factor.app.sealed_secret)
    assert not AuthenticatorApp.objects.get(second_factor=bob.second_factor).accept(code_at(NOW), now=NOW)


def test_the_current_time_is_the_default(second_factor, secret):
    assert second_factor.app.accept(code_now(secret))


def test_a_right_code_takes_three_statements_and_is_recorded(second_factor, code_at, django_assert_num_queries):
    app = second_factor.app
    with django_assert_num_queries(3):
        assert AuthenticatorApp.objects.judge(second_factor, code_at(NOW), now=NOW)
    assert app.last_time_step == NOW // 30
    row = AuthenticatorApp.objects.get()
    assert (row.last_time_step, row.last_used_at.timestamp()) == (NOW // 30, NOW)


def test_wrong_and_used_codes_are_charged_and_a_correct_one_resets_failures_only(second_factor, code_at, invalid_code):
    assert second_factor.app.accept(code_at(NOW), now=NOW)
    assert counters(second_factor) == (0, 0, 0)
    assert not second_factor.app.judge(code_at(NOW), now=NOW)
    assert counters(second_factor) == (1, 0, 1)
    assert not second_factor.app.judge(invalid_code, now=NOW)
    assert counters(second_factor) == (2, 0, 2)
    assert second_factor.app.judge(code_at(NOW + 30), now=NOW)
    assert counters(second_factor) == (0, 0, 2)


def test_a_code_that_is_not_checked_is_not_used_up(second_factor, code_at):
    update(second_factor, failures=5, delayed_until=NOW + 30)
    with pytest.raises(Refused, match="delayed"):
        second_factor.app.judge(code_at(NOW + 30), now=NOW)
    assert not second_factor.app.accept(code_at(NOW + 30), now=NOW)
    assert second_factor.app.accept(code_at(NOW + 30), now=NOW + 30)


@pytest.mark.parametrize("malformed", ["", "12345", "abcdef", "\ud800", "9" * 3_000_000])
def test_a_malformed_code_is_not_charged(second_factor, malformed):
    assert not second_factor.app.judge(malformed, now=NOW)
    assert counters(second_factor) == (0, 0, 0)


@pytest.mark.parametrize("broken", ["key", "row"])
def test_a_secret_that_does_not_open_is_logged_and_not_charged(
    second_factor, backup_codes, code_at, settings, caplog, broken
):
    if broken == "key":
        settings.TWOFACTOR_KEYS = OTHER_KEY
    else:
        second_factor.app.sealed_secret = second_factor.app.sealed_secret[:-8]
    with pytest.raises(Refused, match="unreadable"):
        second_factor.app.judge(code_at(NOW), now=NOW)
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    why = f"user={second_factor.user_id}: {second_factor.app.unsealing_error}"
    assert record.getMessage() == f"secret does not open: {why}; TOTP is refused"
    assert code_at(NOW) not in caplog.text
    assert counters(second_factor) == (0, 0, 0)
    assert BackupCode.objects.spend(second_factor, backup_codes[0])
