"""Normalization of passwords before hashing (RFC 8265)."""

import unicodedata

MAX_LENGTH = 128  # Code points before normalization. Validation and `User.check_password` refuse longer input.


def normalize(password: str) -> str:
    """Return the password in NFC (RFC 8265, section 4.2): keyboards encode accented letters differently."""
    return unicodedata.normalize("NFC", password)
