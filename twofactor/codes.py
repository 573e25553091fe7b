"""Backup codes: made, shown, read back and hashed. Pure: no Django, no state."""

import re
import secrets

from argon2.low_level import Type, hash_secret_raw

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
COUNT = 10
LENGTH = 16  # characters of five bits: 80 bits; NIST SP 800-63B-4 (4.2.1.1) asks for 64
SALT_BYTES = 16

_LOOK_ALIKES = str.maketrans("OIL", "011")
_SHAPE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")


def generate() -> list[str]:
    """Return ten new codes as sixteen characters each."""
    return ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(COUNT)]


def display(code: str) -> str:
    """Return the code as people see it: `XXXX-XXXX-XXXX-XXXX`."""
    return "-".join(code[i : i + 4] for i in range(0, LENGTH, 4))


def normalise(typed: str) -> str | None:
    """Return the sixteen characters that were meant, or None if these cannot be a code.

    Case, spaces and dashes do not matter; O is read as 0, I and L as 1.
    """
    if not typed.isascii():
        return None
    code = re.sub(r"[ \t\r\n-]", "", typed).upper().translate(_LOOK_ALIKES)
    return code if _SHAPE.fullmatch(code) else None


def new_salt() -> bytes:
    """Return the 128 random bits that the ten codes of one set share."""
    return secrets.token_bytes(SALT_BYTES)


def digest(code: str, *, salt: bytes) -> bytes:
    """Return the 32 bytes of Argon2id that stand in the database for a normalised code.

    One salt a set, so that a try costs one hash and not ten. The cost is small on purpose: what is hashed here
    are 80 random bits, not a password that somebody thought up.
    """
    return hash_secret_raw(code.encode(), salt, time_cost=1, memory_cost=1024, parallelism=1, hash_len=32, type=Type.ID)
