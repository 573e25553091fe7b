"""Reads the Django + Next.js pair: one `TwoFactorAuth` row per user, with everything in clear."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from django.db import models

from twofactor import totp
from twofactor.importing import tables
from twofactor.importing.users import ImportedUser, Key, base32, build_or_report

# Sites copy the model into an app of their own, so the table may have any name.
COLUMNS = {"user_id", "secret_key", "is_enabled", "backup_codes"}


class Row(Protocol):
    secret_key: str
    backup_codes: object  # JSON of any shape
    created_at: datetime | None  # the column may be missing


class Source:
    def __init__(self) -> None:
        self.rows = tables.table_model(
            tables.find_table(COLUMNS),
            user_id=tables.user_key_field(),
            secret_key=models.CharField(max_length=32),
            is_enabled=models.BooleanField(),
            backup_codes=models.JSONField(),
            created_at=models.DateTimeField(null=True),
        )

    def keys(self) -> list[Key]:
        """Return the users with 2FA on. Every user who opened the settings has a row."""
        return sorted(self.rows.objects.filter(is_enabled=True).values_list("user_id", flat=True))

    def users(self, keys: list[Key]) -> Iterator[ImportedUser]:
        rows = list(self.rows.objects.filter(user_id__in=keys, is_enabled=True).order_by("user_id"))
        same = self.rows.objects.filter(secret_key__in=[row.secret_key for row in rows])
        users = Counter(same.values_list("secret_key", flat=True))
        for row in rows:
            yield build_or_report(self.build, row.user_id, row, users[row.secret_key])

    def build(self, key: Key, row: Row, users: int) -> ImportedUser:
        if not row.secret_key:
            return ImportedUser(key, problem="2FA is on without a secret")
        if users > 1:
            return ImportedUser(key, problem="another user has the same secret")
        secret = base32(row.secret_key)
        if secret is None:
            return ImportedUser(key, problem="the secret is invalid")
        if not isinstance(row.backup_codes, list):
            raise TypeError("The backup codes are not a list.")
        return ImportedUser(
            key,
            secret,
            # The row does not say which code was used last. The pair accepts codes of the next time step.
            last_time_step=totp.time_step_at(time.time()) + 1,
            created_at=getattr(row, "created_at", None),
            codes=tuple(row.backup_codes),
        )
