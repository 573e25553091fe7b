"""Passkeys of users, made and used by a key in software."""

import json
from typing import Any

from twofactor.models import Passkey
from twofactor.tests.softkey import BE, BS, UV, SoftKey

ORIGIN = "https://testserver"


def add_passkey(user: Any, key: SoftKey, **fields: Any) -> Passkey:
    """Store this key as a passkey of the user, as if it had been registered."""
    key.user_handle = key.user_handle or b"h" * 64
    given = {
        "rp_id": "testserver",
        "name": "Key",
        "credential_id": key.credential_id,
        "public_key": key.public_key,
        "user_handle": key.user_handle,
        "sign_count": key.sign_count,
        "is_backup_eligible": bool(key.flags & BE),
        "is_backed_up": bool(key.flags & BS),
        "is_user_verified": bool(key.flags & UV),
    }
    passkey = Passkey(**(given | fields))
    Passkey.objects.add(user, passkey)
    return passkey


def options_of(form: Any) -> Any:
    """Return what the form asks the browser."""
    return json.loads(form.options)["publicKey"]


def fields_of(form: Any, credential: Any) -> dict[str, str]:
    """Return what the script posts: the answer of the browser, and the token of the form."""
    return {"credential": json.dumps(credential), "ceremony": form["ceremony"].value()}


def sign(key: SoftKey, form: Any, *, origin: str = ORIGIN, **changes: Any) -> dict[str, str]:
    """Answer the question of this form. `changes` are those of SoftKey."""
    return fields_of(form, key.get(options_of(form), origin=origin, **changes))


def register(key: SoftKey, form: Any, *, origin: str = ORIGIN, **changes: Any) -> dict[str, str]:
    """Make the passkey that this form asks for."""
    return fields_of(form, key.create(options_of(form), origin=origin, **changes))
