"""Normalization of passwords before hashing (RFC 8265)."""

import unicodedata

MAX_LENGTH = 128  # Code points before normalization. Longer input is neither normalized nor hashed.


def normalize(password: str) -> str:
    """Return the password in NFC (RFC 8265, section 4.2): keyboards encode accented letters differently."""
    return unicodedata.normalize("NFC", password)
