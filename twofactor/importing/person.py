"""What is known of one person's second factor elsewhere. Pure: no Django, no state."""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twofactor import totp

SHORTEST = 10  # bytes of a secret: the 80 bits that authenticator apps began with
USUAL = 20


class CannotImport(Exception):
    """Nobody can be brought over; the text says what to do about it."""


@dataclass(frozen=True)
class Person:
    """Somebody's second factor in another app, by the key of their user. `why_not`: it cannot come, and why."""

    key: Any
    secret: str = ""  # base32
    last_time_step: int = -1
    created_at: datetime | None = None
    codes: tuple[str, ...] = ()  # unused, in clear
    hashed_codes: tuple[str, ...] = ()  # unused, as Django hashes passwords
    notes: tuple[str, ...] = ()  # what is otherwise than it was
    why_not: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(code, str) for code in (*self.codes, *self.hashed_codes)):
            raise TypeError("A code is a string.")


def read(person: Callable[..., Person], key: Any, *rows: Any) -> Person:
    """Return what `person` makes of these rows; of rows that nobody could have made, that they cannot be read."""
    try:
        return person(key, *rows)
    except (AttributeError, TypeError, ValueError):
        return Person(key, why_not="its row cannot be read")


def base32(text: str) -> str | None:
    """Return a base32 secret as totp.py takes it, or None if it is none, or has fewer than 80 bits.

    pyotp takes none under 112 bits. HMAC itself fills a key up with zeros, so a longer one of that kind is the same.
    """
    secret = "".join(text.split()).replace("-", "").rstrip("=").upper()
    try:
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except (binascii.Error, ValueError):
        return None
    return base64.b32encode(raw.ljust(USUAL, b"\0")).decode().rstrip("=") if len(raw) >= SHORTEST else None


def base32_of_hex(text: str) -> str | None:
    """As `base32`, of a secret in hexadecimal."""
    try:
        return base32(base64.b32encode(bytes.fromhex(text)).decode())
    except ValueError:
        return None


def unfit(*, digits: int = totp.DIGITS, period: int = totp.PERIOD, t0: int = 0) -> str:
    """Return why codes of this kind cannot be taken; empty if they can."""
    if digits != totp.DIGITS:
        return f"its codes have {digits} digits, not {totp.DIGITS}"
    if period != totp.PERIOD:
        return f"its codes change every {period} seconds, not every {totp.PERIOD}"
    return "its time does not begin in 1970 (t0)" if t0 else ""


def last_step(moments: Iterable[datetime | None], *, ahead: int) -> int:
    """Return the newest time step whose code may have been used at these moments, or -1.

    `ahead`: how many steps the other app let a phone's clock be fast.
    """
    return max((totp.time_step_at(moment.timestamp()) + ahead for moment in moments if moment), default=-1)
