"""The canonical form of a code, in whichever spelling it is typed. Pure: no Django. twofactor.js has the same rule."""

import unicodedata

TYPED_LENGTH = 64  # longer input is not looked at
DASHES_AND_FORMAT = ("Pd", "Cf")  # Unicode categories; format characters are invisible, such as a zero-width space


def canonical(typed: str) -> str:
    """Return what was typed with every decimal digit in ASCII, without white space, dashes and format characters.

    Return nothing if it is too long. A code is judged in this form only, or a used one would pass in another spelling.
    """
    if len(typed) > TYPED_LENGTH:
        return ""
    kept = (c for c in typed if not c.isspace() and unicodedata.category(c) not in DASHES_AND_FORMAT)
    return "".join(str(unicodedata.decimal(c, c)) for c in kept)
