"""Generate, display, normalize and hash backup codes. Pure: no Django, no state.

The prefix of a digest says how a code is checked, as in Django's password hashes.
"""

import hmac
import re
import secrets

from argon2.low_level import Type, hash_secret_raw

from twofactor.canonical import canonical

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
COUNT = 10
LENGTH = 16  # characters of five bits each: 80 bits. NIST SP 800-63B-4 (4.2.1.1) requires 64.
SALT_BYTES = 16

# The prefixes of digests: codes of this app, and codes imported from another app in clear or hashed like passwords.
OWN, KEYED, PASSWORD = "argon2id$", "hmac-sha256$", "password$"

_LOOK_ALIKES = str.maketrans("OIL", "011")
_SHAPE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
# Codes of another app. Ten codes of eight digits are the weakest set that the limit of a hundred failures protects.
_IMPORTED_SHAPE = re.compile(r"[!-~]{8,64}")


def generate() -> list[str]:
    """Return ten new codes of sixteen characters, without dashes."""
    return ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(COUNT)]


def display(code: str) -> str:
    """Return the code as users see it: `XXXX-XXXX-XXXX-XXXX`."""
    return "-".join(code[i : i + 4] for i in range(0, LENGTH, 4))


def normalize(typed: str) -> str | None:
    """Return the sixteen characters of a typed backup code, or None if it cannot be one.

    Case, spaces, dashes and the script of the digits do not matter. O is read as 0, I and L as 1.
    """
    code = canonical(typed)
    if not code.isascii():  # upper() turns some other letters into ASCII ones
        return None
    code = code.upper().translate(_LOOK_ALIKES)
    return code if _SHAPE.fullmatch(code) else None


def new_salt() -> bytes:
    """Return 128 random bits, the salt of one set of ten codes."""
    return secrets.token_bytes(SALT_BYTES)


def digest(code: str, *, salt: bytes) -> str:
    """Return the digest of a normalized code, which is what the database stores: `argon2id$<salt>$<32 bytes>`, in hex.

    The ten codes of a set share a salt, so that checking a code takes one hash and not ten. The parameters are low on
    purpose, because a code has 80 random bits, unlike a password.
    """
    raw = hash_secret_raw(code.encode(), salt, time_cost=1, memory_cost=1024, parallelism=1, hash_len=32, type=Type.ID)
    return f"{OWN}{salt.hex()}${raw.hex()}"


def salt_of(digest: str) -> bytes:
    """Return the salt in a digest that `digest` returned."""
    return bytes.fromhex(digest.split("$")[1])


# --- Codes imported from another app --------------------------------------------------------------


def normalize_imported(typed: str) -> str | None:
    """Return a typed code without spaces and dashes, or None if it is too short, too long or not ASCII.

    Keep the case, because a hash made by the other app depends on it.
    """
    code = canonical(typed)
    return code if _IMPORTED_SHAPE.fullmatch(code) else None


def imported_digest(code: str, *, secret: str, owner: str) -> str:
    """Return the digest of a normalized imported code, which is what the database stores: `hmac-sha256$<32 bytes>`.

    It ignores case.

    A salted hash would not protect a code of eight digits from an offline search. So the key is derived from the
    user's TOTP secret (base32), which is sealed: a copy of the database without TWOFACTOR_KEYS is not enough to try
    codes. Key rotation does not change the digest.
    """
    key = hmac.digest(secret.encode(), b"twofactor: backup codes from another app: " + owner.encode(), "sha256")
    return KEYED + hmac.digest(key, code.lower().encode(), "sha256").hex()
