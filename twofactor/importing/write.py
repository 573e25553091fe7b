"""Brings people over, in batches of one transaction each: it can be killed and run again."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import identify_hasher
from django.db import transaction
from django.utils import timezone

from twofactor import codes, conf, events
from twofactor.importing.person import Person
from twofactor.models import Authenticator, BackupCode, new_version

BATCH = 500
logger = logging.getLogger("twofactor")
Row = tuple[Person, set[str], list[str]]  # who comes, the digests of their codes, and what they lose


class Source(Protocol):
    def keys(self) -> list[Any]: ...
    def people(self, keys: list[Any]) -> Iterator[Person]: ...


def bring_over(source: Source, *, name: str, dry_run: bool, say: Callable[[str], None]) -> Counter[str]:
    """Turn 2FA on here for whoever has it there; return how many `came`, with how many `codes`, and who did not.

    Whoever has it on here is left alone, and counted as `already`. Nobody is mailed: nothing changed for them.
    """
    totals: Counter[str] = Counter()
    keys = source.keys()
    for start in range(0, len(keys), BATCH):
        coming, already, staying = sort_out(source, keys[start : start + BATCH])
        rows = [(person, *digests_of(person)) for person in coming]
        came = rows if dry_run else write(rows)
        tell(came, staying, say)
        for person, digests, _ in [] if dry_run else came:
            events.log(logger, logging.INFO, "imported", user=person.key, source=name, codes=len(digests))
        totals.update(came=len(came), codes=sum(len(digests) for _, digests, _ in came), stayed=len(staying))
        totals.update(already=len(already) + len(rows) - len(came))
        if unconfirmed := count_unconfirmed(came):
            totals.update(unconfirmed=unconfirmed)
    return totals


def count_unconfirmed(came: list[Row]) -> int:
    """Return how many of these people have no confirmed email address, which turning 2FA on here would ask for."""
    keys = [person.key for person, _, _ in came]
    confirmed = EmailAddress.objects.filter(user_id__in=keys, verified=True)
    return len(keys) - confirmed.values("user_id").distinct().count()


def tell(came: list[Row], staying: list[Person], say: Callable[[str], None]) -> None:
    """A line for each who cannot come, or comes with less than they had."""
    for person in staying:
        say(f"user {person.key}: could not come: {person.why_not}")
    for person, _, notes in came:
        if lost := [*person.notes, *notes]:
            say(f"user {person.key}: comes, but: {'; '.join(lost)}")


def sort_out(source: Source, keys: list[Any]) -> tuple[list[Person], list[Person], list[Person]]:
    """Return who comes, who has it on here already, and who cannot come."""
    # By the manager that the least is done in: a site's own may hide people, or read more of them.
    here = set(get_user_model()._base_manager.filter(pk__in=keys).values_list("pk", flat=True))
    on = set(Authenticator.objects.filter(user_id__in=keys).values_list("user_id", flat=True))
    coming, already, staying = [], [], []
    for person in source.people(keys):
        if person.key not in here:
            staying.append(Person(person.key, why_not="there is no user with this key"))
        elif person.key in on:
            already.append(person)
        elif person.why_not:
            staying.append(person)
        else:
            coming.append(person)
    return coming, already, staying


def digests_of(person: Person) -> tuple[set[str], list[str]]:
    """Return what is kept of the codes, and what became of those that are not."""
    typed = [codes.normalize_imported(code) for code in person.codes]
    owner = str(person.key)
    digests = {codes.imported_digest(code, secret=person.secret, owner=owner).hex() for code in typed if code}
    known = [encoded for encoded in person.hashed_codes if is_known(encoded)]
    notes = []
    if None in typed:
        notes.append(f"recovery codes that are too short or no ASCII stay behind ({typed.count(None)})")
    if unknown := len(person.hashed_codes) - len(known):
        notes.append(f"recovery codes of a hasher that PASSWORD_HASHERS does not name stay behind ({unknown})")
    return digests | set(known), notes


def is_known(encoded: str) -> bool:
    try:
        identify_hasher(encoded)
    except ValueError:
        return False
    return True


@transaction.atomic
def write(rows: list[Row]) -> list[Row]:
    """Write these people's authenticators and codes; return those who did not turn 2FA on here meanwhile."""
    versions = {person.key: new_version() for person, _, _ in rows}
    Authenticator.objects.bulk_create(
        [authenticator_of(person, digests, version=versions[person.key]) for person, digests, _ in rows],
        ignore_conflicts=True,
    )
    written = Authenticator.objects.filter(user_id__in=list(versions)).values_list("user_id", "pk", "version")
    ids = {key: pk for key, pk, version in written if version == versions[key]}
    came = [row for row in rows if row[0].key in ids]
    BackupCode.objects.bulk_create(
        (
            BackupCode(authenticator_id=ids[person.key], digest=digest)
            for person, digests, _ in came
            for digest in digests
        ),
        batch_size=2000,
    )
    return came


def authenticator_of(person: Person, digests: set[str], *, version: str) -> Authenticator:
    return Authenticator(
        user_id=person.key,
        sealed_secret=conf.keyring().seal(person.secret, owner=str(person.key)),
        last_time_step=person.last_time_step,
        codes_left=len(digests),
        backup_salt=b"" if digests else codes.new_salt(),  # without one, the codes are those of another app
        version=version,
        created_at=person.created_at or timezone.now(),
    )
