"""django-mfa: since 4.0 a table with JSON in it, before that a table of secrets and one of recovery codes, in clear."""

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import models

from twofactor import totp
from twofactor.importing import tables
from twofactor.importing.person import Person, base32, last_step, read

SIGNED, SALT = "mfa1:", "django_mfa.secret"
OTHERS = {"webauthn": "a security key", "email": "e-mail"}
ONLY = {**OTHERS, "recovery_codes": "recovery codes"}
UNREADABLE = "the secret does not open, or is no secret"


def source() -> "Source | OldSource":
    """Return what reads the tables that are there; an upgrade to 4.0 leaves both for a while, and uses the new one."""
    return Source() if tables.columns_of("django_mfa_authenticator") else OldSource()


class Source(tables.OneTable):
    """4.x."""

    def __init__(self) -> None:
        super().__init__("django_mfa_authenticator")

    def person(self, key: Any, rows: dict[str, Any]) -> Person:
        app = rows.get("totp")
        if app is None:
            return Person(
                key, why_not=f"has {next((ONLY[kind] for kind in ONLY if kind in rows), 'something unknown')} only"
            )
        secret = base32(opened(app.data.get("secret", "")))
        if secret is None:
            return Person(key, why_not=UNREADABLE)
        codes = rows["recovery_codes"].data if "recovery_codes" in rows else {}
        in_clear = bool(codes.get("migrated_plaintext"))
        # It takes a code of the step ahead, and notes the step; of the code that turned it on only the time is known.
        steps = app.data.get("last_verified_counter", -1), last_step([app.created_at], ahead=1)
        return Person(
            key,
            secret,
            last_time_step=max(steps),
            created_at=app.created_at,
            codes=unused(codes) if in_clear else (),
            hashed_codes=() if in_clear else unused(codes),
            notes=tuple(f"{OTHERS[kind]} stays behind" for kind in OTHERS if kind in rows),
        )


class OldSource:
    """1.x to 3.x. Its `otp_type` says what a form sent; the codes were always by time."""

    def __init__(self) -> None:
        self.secrets = tables.table(
            "django_mfa_userotp", user_id=tables.user_key(), secret_key=models.CharField(max_length=100)
        )
        # Here `user_id` is the key of the row above, not of a user.
        self.codes = tables.table(
            "django_mfa_userrecoverycodes",
            user_id=models.BigIntegerField(),
            secret_code=models.CharField(max_length=16),
        )
        has_keys = tables.columns_of("django_mfa_u2fkey")
        self.keys_ = tables.table("django_mfa_u2fkey", user_id=tables.user_key()) if has_keys else None

    def keys(self) -> list[Any]:
        return tables.keys_in(*filter(None, [self.secrets, self.keys_]))

    def people(self, keys: list[Any]) -> Iterator[Person]:
        rows = {row.user_id: row for row in self.secrets.objects.filter(user_id__in=keys)}
        codes = defaultdict(list)
        for code in self.codes.objects.filter(user_id__in=[row.pk for row in rows.values()]):
            codes[code.user_id].append(code.secret_code)
        for key in keys:
            yield (
                read(self.person, key, rows[key], codes[rows[key].pk])
                if key in rows
                else Person(key, why_not="has a security key only")
            )

    def person(self, key: Any, row: Any, codes: list[str]) -> Person:
        secret = base32(row.secret_key)
        if secret is None:
            return Person(key, why_not=UNREADABLE)
        # It notes neither the code nor the time it was used at. So every code up to now counts as used.
        return Person(key, secret, last_time_step=totp.time_step_at(time.time()), codes=tuple(codes))


def unused(data: dict[str, Any]) -> tuple[str, ...]:
    used = set(data.get("used", []))
    return tuple(code for i, code in enumerate(data.get("codes", [])) if i not in used)


def opened(secret: str) -> str:
    """Return the secret, which MFA_SECRET_ENCRYPTION_KEYS may have signed; empty if none of these keys did."""
    if not secret.startswith(SIGNED):
        return secret
    for key in getattr(settings, "MFA_SECRET_ENCRYPTION_KEYS", None) or []:
        try:
            return signing.loads(secret.removeprefix(SIGNED), key=key, salt=SALT)
        except signing.BadSignature:
            continue
    return ""
