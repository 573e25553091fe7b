"""Seal secrets for one user and open them again. No other module handles keys.

AES-256-GCM with a random 96-bit nonce. The key ID and the owner are associated data, so a row that is copied to another
user does not open.
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
    """The text cannot be opened: its key is missing, it was sealed for another user, or it was changed."""


@dataclass(frozen=True)
class Keyring:
    """Keys by key ID. The first key seals; all keys open."""

    keys: dict[str, bytes]

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Parse `kid:base64key,...`, where `kid` is a key ID. Errors are ValueErrors that never contain a key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            kid, colon, encoded = entry.partition(":")
            if not colon or not kid or not kid.isascii() or "." in kid:
                raise ValueError(f"key {number} is not of the form kid:base64key")
            if kid.lower() in map(str.lower, keys):  # check_secrets uses LIKE, which ignores case in SQLite
                raise ValueError(f"the key ID {kid} is used twice")
            try:
                keys[kid] = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise ValueError(f"the key {kid} is not base64") from None
            if len(keys[kid]) != KEY_BYTES:
                raise ValueError(f"the key {kid} has {len(keys[kid])} bytes instead of {KEY_BYTES}")
        if not keys:
            raise ValueError("there is no key")
        return cls(keys)

    @property
    def sealing_kid(self) -> str:
        return next(iter(self.keys))

    def seal(self, secret: str, *, owner: str) -> str:
        """Encrypt a secret with the first key and return `v1.<kid>.<base64>`. It opens only for the same `owner`."""
        kid = self.sealing_kid
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.keys[kid]).encrypt(nonce, secret.encode(), _associated_data(kid, owner))
        return f"{VERSION}.{kid}.{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, text: str, *, owner: str) -> str:
        """Decrypt what `seal` returned. Raise Unsealable if it was not sealed with these keys for this `owner`."""
        try:
            version, kid, encoded = text.split(".")
            raw = base64.b64decode(encoded, validate=True)
            if version != VERSION:
                raise Unsealable(f"unknown version {version}")
            return (
                AESGCM(self.keys[kid])
                .decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated_data(kid, owner))
                .decode()
            )
        except KeyError:
            raise Unsealable(f"no key {kid}") from None
        except (InvalidTag, ValueError):
            raise Unsealable("sealed with another key of the same ID or for another user, or changed") from None


def kid_of(text: str) -> str:
    """Return the ID of the key that sealed this text."""
    return text.split(".")[1]


def _associated_data(kid: str, owner: str) -> bytes:
    return f"twofactor:{VERSION}:{kid}:{owner}".encode()
