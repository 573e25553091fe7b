"""Codes from the app: when the account waits, and when it is locked. Time is an argument."""

import pytest

from conftest import NOW
from twofactor import conf
from twofactor.models import Authenticator, Verdict

ACCEPTED, WRONG, DELAYED = Verdict.ACCEPTED, Verdict.WRONG, Verdict.DELAYED
DAY = 24 * 60 * 60


def state(authenticator):
    """The row's counters, as they are now."""
    authenticator.refresh_from_db()
    return authenticator.failures, authenticator.delayed_until, authenticator.budget_spent


def put(authenticator, **fields):
    Authenticator.objects.filter(pk=authenticator.pk).update(**fields)


# --- The delay ------------------------------------------------------------------------------------

SCHEDULE = [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_the_account_waits_from_the_fifth_failure_in_a_row_and_never_longer_than_an_hour(authenticator, invalid_code):
    assert [min(3600, 30 * 2 ** (n - 5)) if n >= 5 else 0 for n in range(1, 15)] == SCHEDULE
    now = NOW
    for n, seconds in enumerate(SCHEDULE, start=1):
        assert authenticator.judge(invalid_code, now=now) is WRONG
        assert state(authenticator) == (n, now + seconds if seconds else 0, n)
        assert authenticator.seconds_to_wait(now=now) == seconds
        now += seconds


@pytest.mark.parametrize(
    "since, verdict", [(0, DELAYED), (29, DELAYED), (29.9, DELAYED), (30, ACCEPTED), (31, ACCEPTED)]
)
def test_even_a_right_code_is_not_looked_at_inside_the_delay(authenticator, code_at, since, verdict):
    put(authenticator, failures=5, delayed_until=NOW + 30)
    assert authenticator.judge(code_at(NOW + since), now=NOW + since) is verdict


def test_a_try_inside_the_delay_is_neither_charged_nor_extends_it_nor_uses_the_code_up(
    authenticator, code_at, invalid_code
):
    put(authenticator, failures=5, delayed_until=NOW + 30, budget_spent=5)
    for code in [invalid_code, code_at(NOW + 30)] * 10:
        assert authenticator.judge(code, now=NOW + 29) is DELAYED
    assert state(authenticator) == (5, NOW + 30, 5)
    assert authenticator.judge(code_at(NOW + 30), now=NOW + 30) is ACCEPTED


def test_success_resets_the_delay(authenticator, code_at, invalid_code):
    put(authenticator, failures=9, delayed_until=NOW)
    assert authenticator.accept(code_at(NOW), now=NOW)
    assert authenticator.judge(invalid_code, now=NOW) is WRONG
    assert authenticator.seconds_to_wait(now=NOW) == 0


def test_a_right_code_takes_its_turn_among_wrong_ones_that_came_at_once(
    authenticator, code_at, invalid_code, django_assert_num_queries
):
    """It was read before they were charged: it does not pass by them, but reads again, and meets the delay."""
    early, late = Authenticator.objects.get(), Authenticator.objects.get()
    assert authenticator.judge(invalid_code, now=NOW) is WRONG
    with django_assert_num_queries(3):  # an UPDATE that finds nothing, what is there now, an UPDATE
        assert early.judge(code_at(NOW), now=NOW) is ACCEPTED
    for _ in range(5):
        authenticator.judge(invalid_code, now=NOW)
    assert late.judge(code_at(NOW + 30), now=NOW) is DELAYED


# --- The budget -----------------------------------------------------------------------------------


def test_a_hundred_failures_in_thirty_days_lock_codes_from_the_app(authenticator, code_at, invalid_code):
    put(authenticator, budget_spent=99, budget_began=NOW)
    assert authenticator.judge(invalid_code, now=NOW + DAY) is WRONG
    assert authenticator.is_locked_by_this_try
    assert authenticator.judge(code_at(NOW + DAY), now=NOW + DAY) is DELAYED
    assert authenticator.seconds_to_wait(now=NOW + DAY) == 29 * DAY


def test_success_does_not_reset_the_budget(authenticator, code_at, invalid_code):
    put(authenticator, budget_spent=90, budget_began=NOW)
    now = NOW
    for n in range(91, 101):
        assert authenticator.judge(invalid_code, now=now) is WRONG
        put(authenticator, delayed_until=0)
        if n < 100:
            assert authenticator.judge(code_at(now), now=now) is ACCEPTED
        now += 30
    assert authenticator.judge(code_at(now), now=now) is DELAYED


@pytest.mark.parametrize("after, verdict, spent", [(30 * DAY - 1, DELAYED, 100), (30 * DAY, WRONG, 1)])
def test_the_lock_opens_when_its_thirty_days_are_over(authenticator, invalid_code, after, verdict, spent):
    put(authenticator, budget_spent=100, budget_began=NOW)
    assert authenticator.judge(invalid_code, now=NOW + after) is verdict
    authenticator.refresh_from_db()
    assert authenticator.budget_spent == spent
    assert authenticator.budget_began == (NOW + after if verdict is WRONG else NOW)


def test_thirty_days_begin_with_the_first_failure_and_not_with_every_one(authenticator, invalid_code):
    for day in range(3):
        authenticator.judge(invalid_code, now=NOW + day * DAY)
    authenticator.refresh_from_db()
    assert (authenticator.budget_began, authenticator.budget_spent) == (NOW, 3)


def test_the_numbers_are_those_of_the_security_page():
    assert (conf.BUDGET, conf.BUDGET_SECONDS, conf.BUDGET_AFTER_RESET) == (100, 30 * DAY, 20)
    assert (conf.DELAY_FROM, conf.DELAY_FIRST, conf.DELAY_LONGEST) == (5, 30, 3600)
    assert (conf.PENDING_TRIES, conf.PENDING_SECONDS, conf.SETUP_SECONDS) == (5, 600, 900)
    assert conf.SOURCE_RATE == "20/10m/ip"
