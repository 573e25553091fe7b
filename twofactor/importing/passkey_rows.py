"""Rows for imported passkeys."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from django.utils import timezone
from django.utils.translation import gettext as _

from twofactor import conf, providers
from twofactor.importing.users import ImportedPasskey, ImportedUser
from twofactor.models import Passkey, SecondFactor
from twofactor.models.passkey import digest_of
from twofactor.passkeys import clean_name, numbered


def without_known(users: Iterable[ImportedUser]) -> Iterator[ImportedUser]:
    """Yield the users without passkeys that another user has, and without those beyond the limit of an account."""
    users = list(users)
    digests = {digest_of(passkey.credential_id) for user in users for passkey in user.passkeys}
    known = set(Passkey.objects.filter(digest__in=digests).values_list("digest", flat=True)) if digests else set()
    for user in users:
        new = []
        for passkey in user.passkeys:
            digest = digest_of(passkey.credential_id)
            if digest not in known:
                new.append(passkey)
            known.add(digest)
        yield limited(user, new)


def limited(user: ImportedUser, passkeys: list[ImportedPasskey]) -> ImportedUser:
    notes = [*user.notes]
    if known := len(user.passkeys) - len(passkeys):
        notes.append(f"not imported: passkeys of another user ({known})")
    if (extra := len(passkeys) - conf.PASSKEYS_AT_MOST) > 0:
        notes.append(f"not imported: passkeys beyond the {conf.PASSKEYS_AT_MOST} that an account may have ({extra})")
    problem = user.problem
    if user.passkeys and not passkeys and not user.secret:
        problem = "has passkeys of another user only"
    return replace(user, passkeys=tuple(passkeys[: conf.PASSKEYS_AT_MOST]), notes=tuple(notes), problem=problem)


def rows_of(user: ImportedUser, second_factor: SecondFactor) -> list[Passkey]:
    rows: list[Passkey] = []
    for passkey in user.passkeys:
        name = clean_name(passkey.name) or providers.provider_of(passkey.aaguid) or _("Passkey")
        rows.append(row_of(passkey, numbered(name, {row.name for row in rows}), second_factor))
    return rows


def row_of(passkey: ImportedPasskey, name: str, second_factor: SecondFactor) -> Passkey:
    return Passkey(
        second_factor=second_factor,
        credential_id=passkey.credential_id,
        digest=digest_of(passkey.credential_id),
        user_handle=passkey.user_handle,
        public_key=passkey.public_key,
        rp_id=conf.rp_id(),
        sign_count=passkey.sign_count,
        transports=" ".join(passkey.transports),
        aaguid=passkey.aaguid,
        is_backup_eligible=passkey.backup_eligible,
        is_backed_up=passkey.backup_state,
        is_user_verified=passkey.user_verified,
        is_discoverable=passkey.discoverable,
        name=name,
        created_at=passkey.created_at or timezone.now(),
        last_used_at=passkey.last_used_at,
    )
