"""What a password is before it is hashed."""

import unicodedata

MAX_LENGTH = 128  # code points, as typed: what is longer is neither normalized nor hashed


def normalize(password: str) -> str:
    """Return the password in NFC (RFC 8265, 4.2): keyboards differ in how they compose a letter with an accent."""
    return unicodedata.normalize("NFC", password)
