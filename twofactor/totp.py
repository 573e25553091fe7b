"""Time-based one-time passwords (RFC 6238 over RFC 4226). Pure: no Django, no clock, no state."""

import hmac
import re
from urllib.parse import quote

import pyotp

from twofactor.canonical import canonical

DIGITS = 6
PERIOD = 30  # seconds a time step lasts
SECRET_LENGTH = 32  # base32 characters: the 160 bits that RFC 4226 recommends (R6)
NAME_LENGTH = 64  # of issuer and of account; longer ones make the QR code too dense to scan

_SHAPE = re.compile(rf"[0-9]{{{DIGITS}}}")


def new_secret() -> str:
    """Return a random secret of 32 base32 characters."""
    return pyotp.random_base32(SECRET_LENGTH)


def time_step_at(now: float) -> int:
    """Return the time step that `now`, in seconds since 1970, falls into (RFC 6238, 4.2)."""
    return int(now) // PERIOD


def code_at(secret: str, step: int) -> str:
    """Return the six digits for this base32 secret at this time step."""
    return pyotp.HOTP(secret, digits=DIGITS).at(step)


def match_time_step(secret: str, code: str, *, around: int, drift_window: int) -> int | None:
    """Return the time step whose code equals `code`, or None. Newest step first."""
    for step in range(around + drift_window, max(around - drift_window, 0) - 1, -1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def clock_offset(secret: str, code: str, *, around: int, reach: int) -> int | None:
    """Return how many seconds the phone's clock is ahead (behind if negative), or None.

    Looks `reach` seconds either way, nearest step first.
    """
    for distance in range(1, reach // PERIOD + 1):
        for step in (around - distance, around + distance):
            if step >= 0 and hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
                return (step - around) * PERIOD
    return None


def provisioning_uri(secret: str, *, account: str, issuer: str) -> str:
    """Return the `otpauth://totp/Issuer:account?...` address that an authenticator app scans (Key URI format)."""
    issuer, account = _encoded(issuer), _encoded(account)
    return f"otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}"


def _encoded(name: str) -> str:
    """Percent-encode a part of the label, without the colons that would end it and without line breaks."""
    return quote(" ".join(name.replace(":", "").split())[:NAME_LENGTH], safe="")


def in_groups(secret: str) -> str:
    """Return the secret in groups of four, for whoever types it."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


def normalize(typed: str) -> str | None:
    """Return the six ASCII digits that were typed, in whichever spelling, or None if these are not six digits."""
    code = canonical(typed)
    return code if _SHAPE.fullmatch(code) else None
