"""The canonical form of a typed code. Pure: no Django. twofactor.js implements the same rule."""

import unicodedata

TYPED_LENGTH = 64  # longer input is never a code
DASHES_AND_FORMAT = ("Pd", "Cf")  # Unicode categories. Format characters are invisible: a zero-width space is one.


def canonical(typed: str) -> str:
    """Return the input with ASCII digits, without white space, dashes and format characters; "" if it is too long.

    Codes are checked in this form only. Otherwise a used code would be accepted again in another spelling.
    """
    if len(typed) > TYPED_LENGTH:
        return ""
    kept = (c for c in typed if not c.isspace() and unicodedata.category(c) not in DASHES_AND_FORMAT)
    return "".join(str(unicodedata.decimal(c, c)) for c in kept)
