"""Backup codes: made, shown, read back and hashed. Pure: no Django, no state."""

import hmac
import re
import secrets

from argon2.low_level import Type, hash_secret_raw

from twofactor.canonical import canonical

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
COUNT = 10
LENGTH = 16  # characters of five bits: 80 bits; NIST SP 800-63B-4 (4.2.1.1) asks for 64
SALT_BYTES = 16

_LOOK_ALIKES = str.maketrans("OIL", "011")
_SHAPE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
# Of another app: ten codes of eight digits are the weakest that still hold against the account's hundred tries.
_IMPORTED_SHAPE = re.compile(r"[!-~]{8,64}")


def generate() -> list[str]:
    """Return ten new codes as sixteen characters each."""
    return ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(COUNT)]


def display(code: str) -> str:
    """Return the code as people see it: `XXXX-XXXX-XXXX-XXXX`."""
    return "-".join(code[i : i + 4] for i in range(0, LENGTH, 4))


def normalize(typed: str) -> str | None:
    """Return the sixteen characters that were meant, or None if these cannot be a code.

    Case, spaces, dashes and the script of the digits do not matter; O is read as 0, I and L as 1.
    """
    code = canonical(typed)
    if not code.isascii():  # upper() makes ASCII letters of some others
        return None
    code = code.upper().translate(_LOOK_ALIKES)
    return code if _SHAPE.fullmatch(code) else None


def new_salt() -> bytes:
    """Return the 128 random bits that the ten codes of one set share."""
    return secrets.token_bytes(SALT_BYTES)


def digest(code: str, *, salt: bytes) -> bytes:
    """Return the 32 bytes of Argon2id that stand in the database for a normalized code.

    One salt a set, so that a try costs one hash and not ten. The cost is small on purpose: what is hashed here
    are 80 random bits, not a password that somebody thought up.
    """
    return hash_secret_raw(code.encode(), salt, time_cost=1, memory_cost=1024, parallelism=1, hash_len=32, type=Type.ID)


# --- Codes from another app -----------------------------------------------------------------------


def normalize_imported(typed: str) -> str | None:
    """Return a code of another app without its spaces and dashes, or None: too short, too long, or not ASCII.

    Capitals stay: a code that is kept as a hash of that app's own tells them from small letters.
    """
    code = canonical(typed)
    return code if _IMPORTED_SHAPE.fullmatch(code) else None


def imported_digest(code: str, *, secret: str, owner: str) -> bytes:
    """Return the 32 bytes that stand in the database for a normalized code of another app, in any case of letters.

    Eight digits are run through in no time, whatever the salt beside them. So the key is the owner's TOTP secret,
    which is sealed: who has the database and not the site's keys can try nothing. Sealing it anew changes nothing.
    """
    key = hmac.digest(secret.encode(), b"twofactor: backup codes from another app: " + owner.encode(), "sha256")
    return hmac.digest(key, code.lower().encode(), "sha256")
