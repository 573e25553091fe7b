"""The throttle of an account: a delay after wrong codes in a row, and a lock after a hundred in thirty days."""

import time
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Case, F, When

from twofactor import conf, times
from twofactor.refusals import Refused

COUNTERS = ("failures", "delayed_until", "budget_spent", "budget_began")
# Not `F("budget_spent") - 1`: another request may have set the column to 0, and it is unsigned on MariaDB.
ONE_LESS_SPENT = Case(When(budget_spent__gt=0, then=F("budget_spent") - 1), default=0)


class Throttled(models.Model):
    """The counters of wrong codes, over all forms and sign-ins. docs/security.md explains the numbers."""

    failures = models.PositiveIntegerField(default=0, editable=False)  # in a row
    delayed_until = models.BigIntegerField(default=0, editable=False)  # Unix time
    budget_spent = models.PositiveIntegerField(default=0, editable=False)
    budget_began = models.BigIntegerField(default=0, editable=False)  # Unix time

    class Meta:
        abstract = True

    def charge(self, *, now: float) -> None:
        """Count one failure before a guessable code is checked. Raise Refused if it must not be checked.

        Optimistic lock: of parallel requests that read the same counters one may check its code. The others are
        refused with `busy`. Do not call this in a transaction, because a later error would roll the charge back.
        """
        if wait := self.seconds_to_wait(now=now):
            raise Refused("delayed", wait)
        as_read = {name: getattr(self, name) for name in COUNTERS}
        unchanged = self._row.filter(**as_read)
        fields = self._one_failure_more(int(now))
        if not unchanged.update(**fields):
            raise Refused("busy", 1)
        self._set(**fields)

    def _one_failure_more(self, moment: int) -> dict[str, int]:
        failures = self.failures + 1
        delay = delay_after(failures)
        window_expired = self.budget_began <= moment - conf.BUDGET_SECONDS
        return {
            "failures": failures,
            "delayed_until": moment + delay if delay else 0,
            "budget_spent": 1 if window_expired else self.budget_spent + 1,
            "budget_began": moment if window_expired else self.budget_began,
        }

    def give_back(self) -> None:
        """Take back the charge of a right code. Earlier failures stay in the budget."""
        self._row.update(failures=0, delayed_until=0, budget_spent=ONE_LESS_SPENT)
        self._set(failures=0, delayed_until=0, budget_spent=max(0, self.budget_spent - 1))

    def unlock(self) -> None:
        """End the delay and the lock."""
        fields = {"failures": 0, "delayed_until": 0, "budget_spent": 0}
        self._row.update(**fields)
        self._set(**fields)

    @property
    def _row(self) -> "models.QuerySet[Self]":
        return type(self)._default_manager.filter(pk=self.pk)

    def _set(self, **counters: int) -> None:
        for name, value in counters.items():
            setattr(self, name, value)

    def seconds_to_wait(self, *, now: float | None = None) -> int:
        """Return for how many seconds guessable codes are refused, 0 if they are checked. Does not query."""
        moment = int(time.time() if now is None else now)
        return max(0, self._refused_until - moment)

    def waits_until(self, *, now: float | None = None) -> datetime | None:
        """Return until when guessable codes are refused, None if they are checked. Does not query."""
        return times.at(self._refused_until) if self.seconds_to_wait(now=now) else None

    @property
    def _refused_until(self) -> int:
        locked_until = self.budget_began + conf.BUDGET_SECONDS if self.budget_spent >= conf.BUDGET else 0
        return max(self.delayed_until, locked_until)

    @property
    def is_locked_by_this_try(self) -> bool:
        """True for the request whose failure used up the budget, and so locked the account."""
        return self.budget_spent == conf.BUDGET

    @property
    def is_fifth_failure(self) -> bool:
        """True for the request that made the fifth failure in a row, the tenth, and so on."""
        return self.failures > 0 and self.failures % conf.DELAY_FROM == 0

    @property
    def next_is_fifth_failure(self) -> bool:
        """True if the next failure will be the fifth in a row, the tenth, and so on."""
        return self.failures % conf.DELAY_FROM == conf.DELAY_FROM - 1


def delay_after(failures: int) -> int:
    """Return for how many seconds codes are refused after this many failures in a row. It doubles, up to an hour."""
    if failures < conf.DELAY_FROM:
        return 0
    doublings = min(failures - conf.DELAY_FROM, 32)
    delay: int = conf.DELAY_FIRST * 2**doublings
    return min(conf.DELAY_LONGEST, delay)
