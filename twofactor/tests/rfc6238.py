"""Codes of an authenticator app, made by an implementation that shares no code with the app."""

import base64
import hmac
import struct

STEP_SECONDS = 30


def code_at(secret: str, unix_time: float) -> str:
    """Return the six-digit code of this base32 secret at this time (RFC 4226, 5.3; RFC 6238, 4)."""
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(unix_time) // STEP_SECONDS), "sha1")
    offset = mac[-1] & 0x0F
    return f"{(struct.unpack_from('>I', mac, offset)[0] & 0x7FFFFFFF) % 10**6:06}"
