"""Writes imported users in batches, each in a transaction: an interrupted import can be run again."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import identify_hasher
from django.db import transaction
from django.utils import timezone

from twofactor import backup_codes, conf, events
from twofactor.importing import passkey_rows
from twofactor.importing.users import ImportedUser, Key
from twofactor.models import AuthenticatorApp, BackupCode, Passkey, SecondFactor
from twofactor.models.second_factor import new_version

BATCH = 500
logger = logging.getLogger("twofactor")


class Source(Protocol):
    """What another app has stored."""

    def keys(self) -> list[Key]:
        """Return the primary keys of the users to import, sorted."""

    def users(self, keys: list[Key]) -> Iterator[ImportedUser]:
        """Yield the users with these keys."""


class Row(NamedTuple):
    """A user to write, with the digests of their codes and notes on what is not imported."""

    user: ImportedUser
    digests: set[str]
    notes: list[str]


class Batch(NamedTuple):
    importable: list[ImportedUser]
    active: list[ImportedUser]  # have 2FA on here
    refused: list[ImportedUser]


def import_users(source: Source, *, name: str, dry_run: bool, output: Callable[[str], None]) -> Counter[str]:
    """Turn 2FA on here for the users of this source. Return how many were `imported`, `skipped` and `refused`.

    The result also counts the imported `passkeys` and `codes`, and the `unconfirmed`: imported users without a
    confirmed address. Users who have 2FA on here are skipped. Nobody gets an email, because nothing has changed.
    """
    totals: Counter[str] = Counter()
    keys = source.keys()
    for start in range(0, len(keys), BATCH):
        batch = sort_batch(source, keys[start : start + BATCH])
        rows = [row_of(user) for user in batch.importable]
        imported = rows if dry_run else create_rows(rows)
        report(imported, batch.refused, output)
        if not dry_run:
            log_imported(imported, name)
        totals["imported"] += len(imported)
        totals["passkeys"] += sum(len(row.user.passkeys) for row in imported)
        totals["codes"] += sum(len(row.digests) for row in imported)
        totals["refused"] += len(batch.refused)
        # This includes the users who turned 2FA on here during the import.
        totals["skipped"] += len(batch.active) + len(rows) - len(imported)
        totals["unconfirmed"] += count_unconfirmed(imported)
    return totals


def sort_batch(source: Source, keys: list[Key]) -> Batch:
    """Sort the users with these keys by what will happen to them."""
    # Ignored types: django-stubs takes the key of this project's users, an integer, for that of every user model.
    # `_base_manager`, because a site's default manager may filter users out or add joins.
    existing = set(get_user_model()._base_manager.filter(pk__in=keys).values_list("pk", flat=True))  # type: ignore[misc]
    active = set(SecondFactor.objects.filter(user_id__in=keys).values_list("user_id", flat=True))  # type: ignore[misc]
    batch = Batch([], [], [])
    for user in passkey_rows.without_known(source.users(keys)):
        if user.key not in existing:
            batch.refused.append(ImportedUser(user.key, problem="there is no user with this key"))
        elif user.key in active:
            batch.active.append(user)
        elif user.problem:
            batch.refused.append(user)
        else:
            batch.importable.append(user)
    return batch


def row_of(user: ImportedUser) -> Row:
    """Return the digests to store for a user's codes, and notes on the codes that cannot be stored."""
    if user.passkeys and not user.secret:
        return Row(user, set(), note_on_codes(user))
    normalized = [backup_codes.normalize_imported(code) for code in user.codes]
    owner = str(user.key)
    digests = {backup_codes.imported_digest(code, secret=user.secret, owner=owner) for code in normalized if code}
    known = [encoded for encoded in user.hashed_codes if has_known_hasher(encoded)]
    notes = []
    if None in normalized:
        notes.append(
            f"not imported: recovery codes that are too short, too long or not ASCII ({normalized.count(None)})"
        )
    if unknown := len(user.hashed_codes) - len(known):
        notes.append(f"not imported: recovery codes whose hasher is not in PASSWORD_HASHERS ({unknown})")
    return Row(user, digests.union(backup_codes.PASSWORD + encoded for encoded in known), notes)


def note_on_codes(user: ImportedUser) -> list[str]:
    """Return a note on the codes of a user without an app: checking imported codes takes the app's secret."""
    count = len(user.codes) + len(user.hashed_codes)
    return [f"not imported: recovery codes, which need an authenticator app ({count})"] if count else []


def has_known_hasher(encoded: str) -> bool:
    try:
        identify_hasher(encoded)
    except ValueError:
        return False
    return True


@transaction.atomic
def create_rows(rows: list[Row]) -> list[Row]:
    """Create second factors, apps and backup codes. Return these rows, without users who turned 2FA on meanwhile."""
    versions = {row.user.key: new_version() for row in rows}
    SecondFactor.objects.bulk_create(
        [second_factor_of(row.user, version=versions[row.user.key]) for row in rows],
        ignore_conflicts=True,
    )
    # A row with another version was created by the user during the import.
    found = SecondFactor.objects.filter(user_id__in=list(versions))
    created: dict[Key, SecondFactor] = {row.user_id: row for row in found if row.version == versions[row.user_id]}
    imported = [row for row in rows if row.user.key in created]
    AuthenticatorApp.objects.bulk_create(app_of(row.user, created[row.user.key]) for row in imported if row.user.secret)
    Passkey.objects.bulk_create(
        passkey for row in imported for passkey in passkey_rows.rows_of(row.user, created[row.user.key])
    )
    BackupCode.objects.bulk_create(
        (BackupCode(second_factor=created[row.user.key], digest=digest) for row in imported for digest in row.digests),
        batch_size=2000,
    )
    return imported


def second_factor_of(user: ImportedUser, *, version: str) -> SecondFactor:
    moments = filter(None, [user.created_at, *(passkey.created_at for passkey in user.passkeys)])
    return SecondFactor(
        user_id=user.key,  # type: ignore[misc] # as in sort_batch
        version=version,
        passkey_count=len(user.passkeys),
        created_at=min(moments, default=timezone.now()),
    )


def app_of(user: ImportedUser, second_factor: SecondFactor) -> AuthenticatorApp:
    return AuthenticatorApp(
        second_factor=second_factor,
        sealed_secret=conf.keyring().seal(user.secret, owner=str(user.key)),
        last_time_step=user.last_time_step,
        created_at=user.created_at or second_factor.created_at,
    )


def report(imported: list[Row], refused: list[ImportedUser], output: Callable[[str], None]) -> None:
    """Write a line for each user who cannot be imported, and for each imported user with notes."""
    for user in refused:
        output(f"user {user.key}: cannot be imported: {user.problem}")
    for row in imported:
        if notes := [*row.user.notes, *row.notes]:
            output(f"user {row.user.key}: {'; '.join(notes)}")


def log_imported(imported: list[Row], source: str) -> None:
    for row in imported:
        counts = {"codes": len(row.digests)}
        if row.user.passkeys:
            counts["passkeys"] = len(row.user.passkeys)
        events.log(logger, logging.INFO, "imported", user=row.user.key, source=source, **counts)


def count_unconfirmed(imported: list[Row]) -> int:
    """Return how many of these users have no confirmed address. The setup pages require one; the import does not."""
    keys = [row.user.key for row in imported]
    addresses = EmailAddress.objects.filter(user_id__in=keys, verified=True)
    confirmed: int = addresses.values("user_id").distinct().count()
    return len(keys) - confirmed
