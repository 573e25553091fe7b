"""The throttle of an account: delay and lock. Time is an argument."""

import time
from datetime import UTC, datetime

import pytest

from twofactor import conf
from twofactor.models import SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

DAY = 24 * 60 * 60
SCHEDULE = [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def refusal(second_factor, *, now=NOW):
    """Charge one failure. Return why it was refused and for how many seconds, None if it was charged."""
    try:
        second_factor.charge(now=now)
    except Refused as refused:
        return refused.code, refused.wait
    return None


def test_the_delay_starts_at_the_fifth_failure_in_a_row_and_is_at_most_an_hour(second_factor):
    now = NOW
    for n, seconds in enumerate(SCHEDULE, start=1):
        assert refusal(second_factor, now=now) is None
        assert counters(second_factor) == (n, now + seconds if seconds else 0, n)
        assert second_factor.seconds_to_wait(now=now) == seconds
        assert second_factor.waits_until(now=now) == (datetime.fromtimestamp(now + seconds, UTC) if seconds else None)
        now += seconds
        assert second_factor.waits_until(now=now) is None


def test_a_try_during_the_delay_is_refused_and_not_charged(second_factor):
    update(second_factor, failures=5, delayed_until=NOW + 30, budget_spent=5)
    assert [refusal(second_factor, now=now) for now in (NOW, NOW + 29.9)] == [("delayed", 30), ("delayed", 1)]
    assert counters(second_factor) == (5, NOW + 30, 5)
    assert refusal(second_factor, now=NOW + 30) is None


def test_the_wait_is_counted_from_the_current_time_by_default():
    assert 0 < SecondFactor(delayed_until=int(time.time()) + 100).seconds_to_wait() <= 100


def test_a_failure_is_charged_to_its_user_only_and_given_back_to_its_user_only(second_factor, bob):
    update(bob.second_factor, failures=3, budget_spent=7)
    assert refusal(second_factor) is None
    assert (counters(second_factor), counters(bob.second_factor)) == ((1, 0, 1), (3, 0, 7))
    second_factor.give_back()
    assert (counters(second_factor), counters(bob.second_factor)) == ((0, 0, 0), (3, 0, 7))


def test_giving_back_ends_the_failures_in_a_row_and_keeps_the_earlier_ones_in_the_budget(second_factor):
    update(second_factor, failures=9, delayed_until=NOW, budget_spent=9, budget_began=NOW)
    assert refusal(second_factor) is None
    second_factor.give_back()
    as_returned = second_factor.failures, second_factor.delayed_until, second_factor.budget_spent
    assert as_returned == counters(second_factor) == (0, 0, 9)


def test_of_parallel_requests_one_checks_its_code(second_factor, django_assert_num_queries):
    """Optimistic lock: a request with stale counters cannot pass a failure that was charged meanwhile."""
    stale = SecondFactor.objects.get()
    assert refusal(second_factor) is None
    with django_assert_num_queries(1):
        assert refusal(stale) == ("busy", 1)
    assert counters(stale) == (1, 0, 1)
    assert refusal(stale) is None


def test_nothing_is_checked_after_2fa_was_turned_off(second_factor):
    SecondFactor.objects.all().delete()
    assert refusal(second_factor) == ("busy", 1)


def test_an_unlock_while_a_code_is_checked_leaves_the_budget_at_zero(second_factor):
    update(second_factor, budget_spent=7, budget_began=NOW)
    assert refusal(second_factor) is None
    SecondFactor.objects.get().unlock()
    second_factor.give_back()
    assert counters(second_factor) == (0, 0, 0)


def test_a_hundred_failures_in_thirty_days_lock_the_account(second_factor):
    update(second_factor, budget_spent=98, budget_began=NOW)
    for is_locked in (False, True):
        assert not second_factor.is_locked_by_this_try
        assert refusal(second_factor, now=NOW + DAY) is None
        assert second_factor.is_locked_by_this_try is is_locked
    assert refusal(second_factor, now=NOW + DAY) == ("delayed", 29 * DAY)


@pytest.mark.parametrize("after, refused, spent, began", [
    (30 * DAY - 1, ("delayed", 1), 100, NOW), (30 * DAY, None, 1, NOW + 30 * DAY),
])  # fmt: skip
def test_the_lock_ends_after_thirty_days(second_factor, after, refused, spent, began):
    update(second_factor, budget_spent=100, budget_began=NOW)
    assert refusal(second_factor, now=NOW + after) == refused
    assert SecondFactor.objects.values_list("budget_spent", "budget_began").get() == (spent, began)


def test_the_thirty_days_start_at_the_first_failure(second_factor):
    assert [refusal(second_factor, now=NOW + day * DAY) for day in range(3)] == [None] * 3
    assert SecondFactor.objects.values_list("budget_began", "budget_spent").get() == (NOW, 3)


def test_every_fifth_failure_in_a_row_is_known_before_and_after_it():
    states = [SecondFactor(failures=n) for n in range(11)]
    assert [n for n, state in enumerate(states) if state.next_is_fifth_failure] == [4, 9]
    assert [n for n, state in enumerate(states) if state.is_fifth_failure] == [5, 10]


def test_the_numbers_match_docs_security():
    assert (conf.BUDGET, conf.BUDGET_SECONDS, conf.BUDGET_AFTER_RESET) == (100, 30 * DAY, 20)
    assert (conf.DELAY_FROM, conf.DELAY_FIRST, conf.DELAY_LONGEST) == (5, 30, 3600)
    assert (conf.PENDING_TRIES, conf.PENDING_SECONDS, conf.SETUP_SECONDS) == (5, 600, 900)
    assert (conf.SOURCE_RATE, conf.STEP_UP_RATE) == ((20, 600), (10, 30 * DAY))
    assert conf.SIGN_IN_LIMIT_SECONDS > conf.PENDING_SECONDS
