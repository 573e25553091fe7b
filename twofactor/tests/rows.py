"""Rows that tests change or count, and what waits for the commit."""

from typing import Any

from django.db import connection

from twofactor import limits
from twofactor.models import SecondFactor, SecurityEvent


def run_on_commit() -> None:
    """Run the callbacks that wait for the commit, such as emails. A test runs in a transaction that never commits."""
    while connection.run_on_commit:
        connection.run_on_commit.pop(0)[1]()


def event_kinds() -> list[str]:
    """Return the kinds of all events, oldest first, without sign-ins: most tests begin with one."""
    events = SecurityEvent.objects.exclude(kind__in=["signed_in", "new_browser"])
    return list(events.order_by("pk").values_list("kind", flat=True))


def counters(second_factor: SecondFactor) -> tuple[int, int, int]:
    """Read the row again, and return its counters."""
    second_factor.refresh_from_db()
    return second_factor.failures, second_factor.delayed_until, second_factor.budget_spent


def update(second_factor: SecondFactor, **fields: Any) -> None:
    """Change the row, and read it again."""
    SecondFactor.objects.filter(pk=second_factor.pk).update(**fields)
    second_factor.refresh_from_db()


def tries_left(request: Any) -> int:
    """Use up the tries of the request's source, and return how many were left."""
    return sum(1 for _ in range(25) if limits.codes_of_source(request).charge())
