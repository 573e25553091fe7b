"""Passkeys of other apps. Those of another domain, and those with an algorithm that is not offered, cannot be used."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from twofactor import conf, webauthn
from twofactor.importing.users import ImportedPasskey, ImportedUser
from twofactor.passkeys import usable_origins

Row = TypeVar("Row")
REASONS = {
    "off": "passkeys (they are off here)",
    "rp_id": "passkeys of another domain",
    "algorithm": "passkeys with an unsupported algorithm",
}
UNREADABLE = "unreadable passkeys"


@dataclass(frozen=True)
class Found:
    """The passkeys of one user, and what is not imported of them."""

    passkeys: tuple[ImportedPasskey, ...]
    refused: tuple[str, ...]

    def add_to(self, user: ImportedUser, *, has_app: bool) -> ImportedUser:
        """Return the user with these passkeys. They are enough to import a user without an app."""
        if not self.passkeys and self.refused and not has_app:
            return replace(user, problem=f"has {self.refused[0]} only")
        notes = [*user.notes, *(f"not imported: {what}" for what in self.refused)]
        if not self.passkeys:
            return replace(user, notes=tuple(notes))
        if has_app and user.problem:
            notes.append(f"not imported: the app ({user.problem})")
        return replace(user, passkeys=self.passkeys, notes=tuple(notes), problem="")


def read(rows: Iterable[Row], convert: Callable[[Row], ImportedPasskey]) -> Found:
    """Convert the passkeys of a user. One that cannot be imported does not keep the others from it."""
    passkeys, refused = [], set()
    for row in rows:
        try:
            passkeys.append(convert(row))
        except webauthn.Refused as error:
            refused.add(REASONS.get(error.why, UNREADABLE))
        except Exception:  # noqa: BLE001 - malformed rows may raise anything
            refused.add(UNREADABLE)
    return Found(tuple(passkeys), tuple(sorted(refused)))


def of_registration(credential: dict[str, object]) -> ImportedPasskey:
    """Return the passkey of a registration, as the browser sent it. Raise webauthn.Refused if it cannot be used."""
    check_domain("")
    expected = webauthn.Expected(challenge=b"", rp_id=conf.rp_id(), origins=())
    return ImportedPasskey(**vars(webauthn.read_registration(credential, expected)))


def of_key(
    credential_id: bytes, public_key: Mapping[object, object], *, rp_id: str | None, aaguid: UUID | None = None
) -> ImportedPasskey:
    """Return the passkey with this public key (COSE). Raise webauthn.Refused if it cannot be used.

    `rp_id`: the domain that the other app is set to. Without a setting, that app takes the host of its pages.
    """
    check_domain(rp_id)
    return ImportedPasskey(
        credential_id=webauthn.checked_id(credential_id, credential_id),
        public_key=webauthn.checked_key(public_key),
        aaguid=aaguid or UUID(int=0),
    )


def check_domain(rp_id: str | None) -> None:
    if not usable_origins():
        raise webauthn.Refused("off")
    if rp_id and rp_id != conf.rp_id():
        raise webauthn.Refused("rp_id")
