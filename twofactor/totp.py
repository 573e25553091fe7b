"""Time-based one-time passwords (RFC 6238 over RFC 4226). Pure: no Django, no clock, no state."""

import hmac
import re
from urllib.parse import quote

import pyotp

from twofactor.canonical import canonical

DIGITS = 6
PERIOD = 30  # seconds in a time step
SECRET_LENGTH = 32  # base32 characters: the 160 bits that RFC 4226 recommends (R6)
NAME_LENGTH = 64  # of issuer and account; longer names make the QR code too dense to scan

_SHAPE = re.compile(rf"[0-9]{{{DIGITS}}}")


def new_secret() -> str:
    """Return a random secret of 32 base32 characters."""
    return pyotp.random_base32(SECRET_LENGTH)


def time_step_at(now: float) -> int:
    """Return the time step of `now`, in seconds since 1970 (RFC 6238, section 4.2)."""
    return int(now) // PERIOD


def code_at(secret: str, step: int) -> str:
    """Return the six-digit code of this base32 secret at this time step (RFC 4226, section 5.3)."""
    return pyotp.HOTP(secret, digits=DIGITS).at(step)


def match_time_step(secret: str, code: str, *, around: int, drift_window: int) -> int | None:
    """Return the time step whose code is `code`, or None. The newest step comes first (RFC 6238, section 5.2).

    `around`: the current time step. `drift_window`: how many steps before and after it are accepted.
    """
    for step in range(around + drift_window, max(around - drift_window, 0) - 1, -1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def clock_offset(secret: str, code: str, *, around: int, reach: int) -> int | None:
    """Return by how many seconds the phone's clock is ahead (negative: behind), or None if the code fits nowhere.

    `around`: the current time step. `reach`: how many seconds before and after it to search, nearest step first.
    """
    for distance in range(1, reach // PERIOD + 1):
        for step in (around - distance, around + distance):
            if step >= 0 and hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
                return (step - around) * PERIOD
    return None


def provisioning_uri(secret: str, *, account: str, issuer: str) -> str:
    """Return the provisioning URI, `otpauth://totp/Issuer:account?...`, that an app scans (Key URI format)."""
    issuer, account = _encoded(issuer), _encoded(account)
    return f"otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}"


def _encoded(name: str) -> str:
    """Percent-encode one part of the label, without line breaks and colons (a colon separates the parts)."""
    return quote(" ".join(name.replace(":", "").split())[:NAME_LENGTH], safe="")


def in_groups(secret: str) -> str:
    """Return the secret in groups of four characters, for typing it."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


def normalize(typed: str) -> str | None:
    """Return the six ASCII digits of a code in any spelling, or None if it is not six digits."""
    code = canonical(typed)
    return code if _SHAPE.fullmatch(code) else None
