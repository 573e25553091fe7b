"""Limits and the throttle are exact with 24 threads, on the database of the site."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from twofactor.models import Limit, SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW, SECRET
from twofactor.tests.rfc6238 import code_at, wrong_code

THREADS = 24

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def in_threads(call, *arguments):
    """Call a function with each of these arguments, in parallel. Return the results."""

    def with_connection(argument):
        try:
            return call(argument)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(with_connection, arguments))


def test_as_many_hits_are_counted_as_the_limit_allows():
    for now in (NOW, NOW + 60):  # the row is created, then it has expired
        results = in_threads(lambda now: Limit.objects.hit("a", 5, 60, now=now), *[now] * THREADS)
        assert results.count(True) == 5
        assert Limit.objects.get().hits == 5


def judge(code):
    """Check a code as a request does, which reads the row first. Return whether it is right, or why it is refused."""
    try:
        return SecondFactor.objects.get().app.judge(code, now=NOW)
    except Refused as refused:
        return refused.code


def test_of_parallel_wrong_codes_at_most_five_are_checked(second_factor):
    results = in_threads(judge, *[wrong_code(SECRET, NOW)] * THREADS)
    second_factor.refresh_from_db()
    assert 1 <= results.count(False) == second_factor.failures <= 5
    assert set(results) <= {False, "busy", "delayed"}


def test_of_parallel_correct_codes_one_is_accepted(second_factor):
    results = in_threads(judge, *[code_at(SECRET, NOW)] * THREADS)
    assert results.count(True) == 1
    second_factor.refresh_from_db()
    assert second_factor.budget_spent == results.count(False)
