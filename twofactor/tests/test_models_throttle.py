"""The throttle of codes from the app: delay and lock. Time is an argument."""

import pytest

from twofactor import conf
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import NOW
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

ACCEPTED, WRONG, DELAYED, BUSY = Verdict.ACCEPTED, Verdict.WRONG, Verdict.DELAYED, Verdict.BUSY
DAY = 24 * 60 * 60
SCHEDULE = [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_the_delay_starts_at_the_fifth_failure_in_a_row_and_is_at_most_an_hour(second_factor, invalid_code):
    now = NOW
    for n, seconds in enumerate(SCHEDULE, start=1):
        assert second_factor.app.judge(invalid_code, now=now) is WRONG
        assert counters(second_factor) == (n, now + seconds if seconds else 0, n)
        assert second_factor.seconds_to_wait(now=now) == seconds
        now += seconds


def test_a_try_during_the_delay_is_not_charged_and_does_not_use_the_code(second_factor, code_at, invalid_code):
    update(second_factor, failures=5, delayed_until=NOW + 30, budget_spent=5)
    for now in (NOW, NOW + 29.9):
        assert second_factor.app.judge(invalid_code, now=now) is DELAYED
        assert second_factor.app.judge(code_at(NOW + 30), now=now) is DELAYED
    assert counters(second_factor) == (5, NOW + 30, 5)
    assert second_factor.app.judge(code_at(NOW + 30), now=NOW + 30) is ACCEPTED


def test_a_wrong_code_is_charged_to_its_user_only(second_factor, bob, invalid_code):
    assert second_factor.app.judge(invalid_code, now=NOW) is WRONG
    assert list(SecondFactor.objects.order_by("pk").values_list("failures", "budget_spent")) == [(1, 1), (0, 0)]


def test_success_resets_the_delay(second_factor, code_at, invalid_code):
    update(second_factor, failures=9, delayed_until=NOW)
    assert second_factor.app.accept(code_at(NOW), now=NOW)
    assert second_factor.app.judge(invalid_code, now=NOW) is WRONG
    assert second_factor.seconds_to_wait(now=NOW) == 0


def test_of_parallel_requests_one_checks_its_code(second_factor, code_at, invalid_code, django_assert_num_queries):
    """Optimistic lock: a request with stale counters cannot pass a failure that was charged meanwhile."""
    stale = SecondFactor.objects.get()
    assert second_factor.app.judge(invalid_code, now=NOW) is WRONG
    with django_assert_num_queries(1):
        assert stale.judge(code_at(NOW), now=NOW) is BUSY
    assert counters(stale) == (1, 0, 1)
    assert stale.judge(code_at(NOW), now=NOW) is ACCEPTED


def test_a_correct_code_takes_two_statements(second_factor, code_at, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert second_factor.app.accept(code_at(NOW), now=NOW)
    assert second_factor.app.last_time_step == NOW // 30


def test_a_code_of_a_replaced_secret_is_not_checked(user, second_factor, code_at):
    AuthenticatorApp.objects.activate(user, secret="B" * 32)
    assert second_factor.app.judge(code_at(NOW), now=NOW) is BUSY
    assert counters(second_factor) == (0, 0, 0)


def test_no_code_is_checked_after_2fa_was_turned_off(second_factor, code_at):
    SecondFactor.objects.all().delete()
    assert second_factor.app.judge(code_at(NOW), now=NOW) is BUSY


def test_a_backup_code_while_another_code_is_checked_leaves_the_budget_at_zero(second_factor, backup_codes, code_at):
    update(second_factor, budget_spent=7, budget_began=NOW)
    assert second_factor.charge(now=NOW) is None
    assert SecondFactor.objects.get().spend_backup_code(backup_codes[0])
    assert second_factor._use_up(NOW // 30)
    assert counters(second_factor) == (0, 0, 0)


def test_a_hundred_failures_in_thirty_days_lock_codes_from_the_app(second_factor, code_at, invalid_code):
    update(second_factor, budget_spent=98, budget_began=NOW)
    assert second_factor.app.judge(invalid_code, now=NOW + DAY) is WRONG
    assert second_factor.app.judge(code_at(NOW + DAY), now=NOW + DAY) is ACCEPTED  # does not reset the budget
    assert not second_factor.is_locked_by_this_try
    assert second_factor.app.judge(invalid_code, now=NOW + DAY) is WRONG
    assert second_factor.is_locked_by_this_try
    assert second_factor.app.judge(code_at(NOW + DAY + 30), now=NOW + DAY) is DELAYED
    assert second_factor.seconds_to_wait(now=NOW + DAY) == 29 * DAY


@pytest.mark.parametrize("after, verdict, spent, began", [
    (30 * DAY - 1, DELAYED, 100, NOW), (30 * DAY, WRONG, 1, NOW + 30 * DAY),
])  # fmt: skip
def test_the_lock_ends_after_thirty_days(second_factor, invalid_code, after, verdict, spent, began):
    update(second_factor, budget_spent=100, budget_began=NOW)
    assert second_factor.app.judge(invalid_code, now=NOW + after) is verdict
    assert SecondFactor.objects.values_list("budget_spent", "budget_began").get() == (spent, began)


def test_the_thirty_days_start_at_the_first_failure(second_factor, invalid_code):
    for day in range(3):
        second_factor.app.judge(invalid_code, now=NOW + day * DAY)
    assert SecondFactor.objects.values_list("budget_began", "budget_spent").get() == (NOW, 3)


def test_the_numbers_match_docs_security():
    assert (conf.BUDGET, conf.BUDGET_SECONDS, conf.BUDGET_AFTER_RESET) == (100, 30 * DAY, 20)
    assert (conf.DELAY_FROM, conf.DELAY_FIRST, conf.DELAY_LONGEST) == (5, 30, 3600)
    assert (conf.PENDING_TRIES, conf.PENDING_SECONDS, conf.SETUP_SECONDS) == (5, 600, 900)
    assert (conf.SOURCE_RATE, conf.STEP_UP_RATE) == ((20, 600), (10, 30 * DAY))
    assert conf.SIGN_IN_LIMIT_SECONDS > conf.PENDING_SECONDS
