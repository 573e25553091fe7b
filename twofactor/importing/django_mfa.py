"""Reads django-mfa: one table with JSON since 4.0; before, a table of secrets and one of recovery codes, in clear."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, TypedDict
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import models

from twofactor import totp, webauthn
from twofactor.importing import passkeys, tables
from twofactor.importing.users import ImportedPasskey, ImportedUser, Key, base32, build_or_report, last_step

SIGNED, SALT = "mfa1:", "django_mfa.secret"
OTHERS = {"email": "email"}
ONLY = {**OTHERS, "recovery_codes": "recovery codes"}
UNREADABLE = "the secret cannot be decrypted or is invalid"


class Codes(TypedDict, total=False):
    """The JSON of a set of recovery codes: in clear if they were migrated from an older version, otherwise hashed."""

    codes: list[str]
    used: list[int]  # indexes of `codes`
    migrated_plaintext: bool


class OldRow(Protocol):
    """A row of the table of secrets."""

    secret_key: str


def source() -> "Source | OldSource":
    """Return the source for the tables that exist. An upgrade to 4.0 keeps the old tables, but does not use them."""
    return Source() if tables.columns_of("django_mfa_authenticator") else OldSource()


class Source(tables.OneTable):
    """django-mfa 4."""

    def __init__(self) -> None:
        super().__init__("django_mfa_authenticator")
        self.handles = tables.optional_table(
            "django_mfa_mfauserhandle", user_id=tables.user_key_field(), handle=models.UUIDField()
        )

    def build(self, key: Key, rows: dict[str, tables.Row], keys: list[tables.Row]) -> ImportedUser:
        found = passkeys.read(keys, self.passkey_of)
        return found.add_to(self.with_app(key, rows), has_app="totp" in rows)

    def passkey_of(self, row: tables.Row) -> ImportedPasskey:
        from fido2.webauthn import AttestedCredentialData

        attested = AttestedCredentialData(bytes.fromhex(row.data["credential_data"]))
        rp_id = getattr(settings, "MFA_FIDO2_RP_ID", None)
        aaguid = UUID(bytes=bytes(attested.aaguid))
        return replace(
            passkeys.of_key(attested.credential_id, attested.public_key, rp_id=rp_id, aaguid=aaguid),
            user_handle=self.handle_of(row.user_id),
            sign_count=row.data["sign_count"],
            transports=webauthn.transports_in(row.data.get("transports")),
            discoverable=row.data.get("resident"),
            name=row.name,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )

    def handle_of(self, key: Key) -> bytes:
        return next((str(row.handle).encode() for row in tables.rows_of(self.handles, user_id=key)), b"")

    def with_app(self, key: Key, rows: dict[str, tables.Row]) -> ImportedUser:
        app = rows.get("totp")
        codes: Codes = rows["recovery_codes"].data if "recovery_codes" in rows else {}
        if app is None:
            others = [name for kind, name in ONLY.items() if kind in rows]
            problem = f"has {others[0] if others else 'an unknown kind'} only"
            return ImportedUser(key, codes=unused(codes), problem=problem)
        secret = base32(unsigned(app.data.get("secret", "")))
        if secret is None:
            return ImportedUser(key, codes=unused(codes), problem=UNREADABLE)
        in_clear = bool(codes.get("migrated_plaintext"))
        # django-mfa accepts a code of the next step and stores its step. For the first code it stores the time only.
        steps = app.data.get("last_verified_counter", -1), last_step([app.created_at], ahead=1)
        return ImportedUser(
            key,
            secret,
            last_time_step=max(steps),
            created_at=app.created_at,
            codes=unused(codes) if in_clear else (),
            hashed_codes=() if in_clear else unused(codes),
            notes=tuple(f"not imported: {name}" for kind, name in OTHERS.items() if kind in rows),
        )


class OldSource:
    """django-mfa 1 to 3. The codes are TOTP codes. `otp_type` may say something else, because a form chose it."""

    def __init__(self) -> None:
        self.secrets = tables.table_model(
            "django_mfa_userotp", user_id=tables.user_key_field(), secret_key=models.CharField(max_length=100)
        )
        # In this table, `user_id` is the key of a row of the table above, not of a user.
        self.codes = tables.table_model(
            "django_mfa_userrecoverycodes",
            user_id=models.BigIntegerField(),
            secret_code=models.CharField(max_length=16),
        )
        self.keys_ = tables.optional_table("django_mfa_u2fkey", user_id=tables.user_key_field())

    def keys(self) -> list[Key]:
        return tables.user_keys(*filter(None, [self.secrets, self.keys_]))

    def users(self, keys: list[Key]) -> Iterator[ImportedUser]:
        rows = {row.user_id: row for row in self.secrets.objects.filter(user_id__in=keys)}
        codes = defaultdict(list)
        for code in self.codes.objects.filter(user_id__in=[row.pk for row in rows.values()]):
            codes[code.user_id].append(code.secret_code)
        for key in keys:
            yield (
                build_or_report(self.build, key, rows[key], codes[rows[key].pk])
                if key in rows
                else ImportedUser(key, problem="has a security key only")
            )

    def build(self, key: Key, row: OldRow, codes: list[str]) -> ImportedUser:
        secret = base32(row.secret_key)
        if secret is None:
            return ImportedUser(key, problem=UNREADABLE)
        # The row says nothing about used codes, so every code up to now counts as used.
        return ImportedUser(key, secret, last_time_step=totp.time_step_at(time.time()), codes=tuple(codes))


def unused(data: Codes) -> tuple[str, ...]:
    used = set(data.get("used", []))
    return tuple(code for i, code in enumerate(data.get("codes", [])) if i not in used)


def unsigned(secret: str) -> str:
    """Return a secret without its signature, or an empty string if no key of MFA_SECRET_ENCRYPTION_KEYS signed it."""
    if not secret.startswith(SIGNED):
        return secret
    for key in getattr(settings, "MFA_SECRET_ENCRYPTION_KEYS", None) or []:
        try:
            value: str = signing.loads(secret.removeprefix(SIGNED), key=key, salt=SALT)
        except signing.BadSignature:
            continue
        return value
    return ""
