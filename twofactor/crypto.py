"""The only file that knows the keys: seals a secret for one user, and opens it again.

AES-256-GCM with a random 96-bit nonce; the key's id and the owner are authenticated with it, so that a row copied
to another user does not open.
"""

import base64
import binascii
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "v1"


class Unsealable(Exception):
    """This text does not open: unknown key, wrong owner, or changed since."""


@dataclass(frozen=True)
class Keyring:
    """Keys by id. The first seals, all open."""

    keys: dict[str, bytes]

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `kid:base64key,...`; ValueError says what is wrong with it, never what the key is."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            kid, colon, encoded = entry.partition(":")
            if not colon or not kid or not kid.isascii() or "." in kid:
                raise ValueError(f"key {number} is not of the form kid:base64key")
            if kid.lower() in map(str.lower, keys):  # SQLite, asked for what a key sealed, knows no case
                raise ValueError(f"the key id {kid} stands there twice")
            try:
                keys[kid] = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise ValueError(f"the key {kid} is not base64") from None
            if len(keys[kid]) != KEY_BYTES:
                raise ValueError(f"the key {kid} has {len(keys[kid])} bytes; it needs {KEY_BYTES}")
        if not keys:
            raise ValueError("there is no key")
        return cls(keys)

    @property
    def sealing_kid(self) -> str:
        return next(iter(self.keys))

    def seal(self, secret: str, *, owner: str) -> str:
        """Return `v1.<kid>.<base64>`, which only this keyring opens and only for this owner."""
        kid, nonce = self.sealing_kid, os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.keys[kid]).encrypt(nonce, secret.encode(), _bound_to(kid, owner))
        return f"{VERSION}.{kid}.{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, text: str, *, owner: str) -> str:
        """Return the secret; Unsealable if this text was not sealed by these keys for this owner."""
        try:
            version, kid, encoded = text.split(".")
            raw = base64.b64decode(encoded, validate=True)
            if version != VERSION:
                raise Unsealable(f"unknown version {version}")
            return AESGCM(self.keys[kid]).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound_to(kid, owner)).decode()
        except KeyError:
            raise Unsealable(f"no key {kid}") from None
        except (InvalidTag, ValueError):
            raise Unsealable("sealed by another key of this ID, for another user, or changed") from None


def kid_of(text: str) -> str:
    """Return the id of the key that sealed this text."""
    return text.split(".")[1]


def _bound_to(kid: str, owner: str) -> bytes:
    return f"twofactor:{VERSION}:{kid}:{owner}".encode()
