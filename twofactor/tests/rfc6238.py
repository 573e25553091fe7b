"""Codes of an authenticator app, made by an implementation that shares no code with the app."""

import base64
import hmac
import struct
from itertools import islice

STEP_SECONDS = 30


def code_at(secret: str, unix_time: float) -> str:
    """Return the six-digit code of this base32 secret at this time (RFC 4226, 5.3; RFC 6238, 4)."""
    mac = hmac.digest(
        base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", int(unix_time) // STEP_SECONDS), "sha1"
    )
    offset = mac[-1] & 0x0F
    return f"{(struct.unpack_from('>I', mac, offset)[0] & 0x7FFFFFFF) % 10**6:06}"


def wrong_code(secret: str, unix_time: float, *, number: int = 0, near: int = 45) -> str:
    """Return six digits that are not a code within `near` time steps of this time. Each number gives another code."""
    right = {code_at(secret, unix_time + STEP_SECONDS * steps) for steps in range(-near, near + 1)}
    wrong = (code for code in map("{:06}".format, range(10_000)) if code not in right)
    return next(islice(wrong, number, None))
