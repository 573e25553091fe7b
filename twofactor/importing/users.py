"""A user's second factor as another app has stored it. Pure: imports no Django, keeps no state."""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec
from uuid import UUID

from twofactor import totp

SHORTEST = 10  # bytes of a secret: 80 bits, as the first authenticator apps had
USUAL = 20  # bytes

Key = int | str | UUID  # the primary key of a user
Rows = ParamSpec("Rows")


class CannotImport(Exception):
    """The import cannot start. The message says what to do about it."""


@dataclass(frozen=True, kw_only=True)
class ImportedPasskey:
    """A passkey in another app. What that app does not store is empty, None or, of an ability, False."""

    credential_id: bytes
    public_key: bytes  # COSE
    aaguid: UUID
    user_handle: bytes = b""
    sign_count: int = 0
    transports: tuple[str, ...] = ()
    backup_eligible: bool | None = None
    backup_state: bool = False
    user_verified: bool = False
    discoverable: bool | None = None
    name: str = ""
    created_at: datetime | None = None
    last_used_at: datetime | None = None

    def __post_init__(self) -> None:
        """Raise an exception for values of another type or size, because JSON may contain any."""
        if not isinstance(self.name, str) or self.discoverable not in (None, True, False):
            raise TypeError("A value has another type.")
        if not 0 <= self.sign_count < 2**32:
            raise ValueError("A sign count has 32 bits.")


@dataclass(frozen=True)
class ImportedUser:
    """The second factor of one user in another app. `problem` says why it cannot be imported, if so."""

    key: Key
    secret: str = ""  # base32; empty without an authenticator app
    last_time_step: int = -1
    created_at: datetime | None = None
    codes: tuple[str, ...] = ()  # unused, in clear
    hashed_codes: tuple[str, ...] = ()  # unused, as Django hashes passwords
    passkeys: tuple[ImportedPasskey, ...] = ()
    notes: tuple[str, ...] = ()  # what is not imported
    problem: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(code, str) for code in (*self.codes, *self.hashed_codes)):
            raise TypeError("A code is a string.")


def build_or_report(
    build: Callable[Concatenate[Key, Rows], ImportedUser], key: Key, *rows: Rows.args, **named: Rows.kwargs
) -> ImportedUser:
    """Return `build(key, *rows)`, or a user with a problem if the rows are malformed."""
    try:
        return build(key, *rows, **named)
    except (AttributeError, TypeError, ValueError):
        return ImportedUser(key, problem="its row cannot be read")


def base32(text: str) -> str | None:
    """Return a base32 secret in the form that totp.py takes, or None if it is invalid or has fewer than 80 bits.

    Pad a short secret with zeros, because pyotp refuses one under 112 bits. HMAC pads its key likewise, so the codes
    are the same.
    """
    secret = "".join(text.split()).replace("-", "").rstrip("=").upper()
    try:
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except (binascii.Error, ValueError):
        return None
    return base64.b32encode(raw.ljust(USUAL, b"\0")).decode().rstrip("=") if len(raw) >= SHORTEST else None


def base32_of_hex(text: str) -> str | None:
    """Like `base32`, for a hexadecimal secret."""
    try:
        return base32(base64.b32encode(bytes.fromhex(text)).decode())
    except ValueError:
        return None


def unsupported(*, digits: int = totp.DIGITS, period: int = totp.PERIOD, t0: int = 0) -> str:
    """Return why codes with these parameters are not supported, or an empty string."""
    if digits != totp.DIGITS:
        return f"its codes have {digits} digits, not {totp.DIGITS}"
    if period != totp.PERIOD:
        return f"its codes change every {period} seconds, not every {totp.PERIOD}"
    return "its time steps do not start in 1970 (t0)" if t0 else ""


def last_step(moments: Iterable[datetime | None], *, ahead: int) -> int:
    """Return the newest time step whose code may have been used at these moments, or -1.

    `ahead` is the number of future time steps that the other app accepted.
    """
    return max((totp.time_step_at(moment.timestamp()) + ahead for moment in moments if moment), default=-1)
