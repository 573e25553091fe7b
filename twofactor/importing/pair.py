"""The Django half of the Django + Next.js pair: one row per user, `TwoFactorAuth`, with everything in clear."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import models

from twofactor import totp
from twofactor.importing import tables
from twofactor.importing.person import Person, base32, read

# The model is copied into an app of the site's own, so the table may have any name.
COLUMNS = {"user_id", "secret_key", "is_enabled", "backup_codes"}


class Source:
    def __init__(self) -> None:
        self.rows = tables.table(
            tables.name_of(COLUMNS),
            user_id=tables.user_key(),
            secret_key=models.CharField(max_length=32),
            is_enabled=models.BooleanField(),
            backup_codes=models.JSONField(),
            created_at=models.DateTimeField(null=True),
        )

    def keys(self) -> list[Any]:
        """Return the users who turned it on. Every user who looked at the settings has a row."""
        return sorted(self.rows.objects.filter(is_enabled=True).values_list("user_id", flat=True))

    def people(self, keys: list[Any]) -> Iterator[Person]:
        rows = list(self.rows.objects.filter(user_id__in=keys, is_enabled=True).order_by("user_id"))
        same = self.rows.objects.filter(secret_key__in=[row.secret_key for row in rows])
        users = Counter(same.values_list("secret_key", flat=True))
        for row in rows:
            yield read(self.person, row.user_id, row, users[row.secret_key])

    def person(self, key: Any, row: Any, users: int) -> Person:
        if not row.secret_key:
            return Person(key, why_not="it is on, but has no secret")
        if users > 1:
            return Person(key, why_not="another user has the same secret")
        secret = base32(row.secret_key)
        if secret is None:
            return Person(key, why_not="the secret is no secret")
        if not isinstance(row.backup_codes, list):
            raise TypeError("The backup codes are not a list.")
        return Person(
            key,
            secret,
            # The row does not say which code was used last. One time step ahead is accepted there.
            last_time_step=totp.time_step_at(time.time()) + 1,
            created_at=getattr(row, "created_at", None),
            codes=tuple(row.backup_codes),
        )
