"""Reads `allauth.mfa`: one table, with details in JSON."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha1

from allauth.account.utils import user_pk_to_url_str
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model

from twofactor import totp
from twofactor.importing import passkeys, tables
from twofactor.importing.users import (
    CannotImport,
    ImportedPasskey,
    ImportedUser,
    Key,
    base32,
    last_step,
    unsupported,
)


class Source(tables.OneTable):
    """The MFA_... settings must be unchanged, because codes and recovery codes depend on them."""

    def __init__(self) -> None:
        super().__init__("mfa_authenticator")
        self.decrypt = decrypt_function()

    def build(self, key: Key, rows: dict[str, tables.Row], keys: list[tables.Row]) -> ImportedUser:
        found = passkeys.read(keys, passkey_of)
        return found.add_to(self.with_app(key, rows), has_app="totp" in rows)

    def with_app(self, key: Key, rows: dict[str, tables.Row]) -> ImportedUser:
        codes = self.unused(rows["recovery_codes"]) if "recovery_codes" in rows else ()
        app = rows.get("totp")
        if app is None:
            return ImportedUser(key, codes=codes, problem="has recovery codes only")
        if problem := unsupported(
            digits=setting("TOTP_DIGITS", totp.DIGITS), period=setting("TOTP_PERIOD", totp.PERIOD)
        ):
            return ImportedUser(key, codes=codes, problem=problem)
        secret = base32(self.decrypted(app.data.get("secret")))
        if secret is None:
            return ImportedUser(key, codes=codes, problem="the secret cannot be decrypted or is invalid")
        used_at = [getattr(app, "created_at", None), getattr(app, "last_used_at", None)]
        return ImportedUser(
            key,
            secret,
            # The row has the time of the last use. Which code it was is only in the cache, for half a minute.
            last_time_step=last_step(used_at, ahead=setting("TOTP_TOLERANCE", 0)),
            created_at=used_at[0],
            codes=codes,
        )

    def unused(self, row: tables.Row) -> tuple[str, ...]:
        """Return the unused recovery codes, which are derived from a seed or were imported into allauth.mfa."""
        if row.data.get("migrated_codes") is not None:
            return tuple(filter(None, map(self.decrypted, row.data["migrated_codes"])))
        seed = self.decrypted(row.data.get("seed"))
        if not seed:
            return ()
        derived = derive_codes(
            seed, count=setting("RECOVERY_CODE_COUNT", 10), digits=setting("RECOVERY_CODE_DIGITS", 8)
        )
        used_mask = row.data.get("used_mask", 0)
        return tuple(code for i, code in enumerate(derived) if not used_mask >> i & 1)

    def decrypted(self, text: object) -> str:
        """Return the decrypted text, or an empty string if decryption fails."""
        try:
            return self.decrypt(text) if isinstance(text, str) else ""
        except Exception:  # noqa: BLE001 - the site's own adapter may raise anything
            return ""


def passkey_of(row: tables.Row) -> ImportedPasskey:
    """The row has the registration as the browser sent it. The sign count is still the one of that time."""
    return replace(
        passkeys.of_registration(row.data["credential"]),
        user_handle=handle_of(row.user_id),
        name=row.data.get("name", ""),
        created_at=getattr(row, "created_at", None),
        last_used_at=getattr(row, "last_used_at", None),
    )


def handle_of(key: Key) -> bytes:
    """Return the user handle that allauth's own MFA_ADAPTER makes; an empty one, which is not compared, of others."""
    if getattr(settings, "MFA_ADAPTER", None):
        return b""
    handle: str = user_pk_to_url_str(get_user_model()(pk=key))  # type: ignore[misc] # as in write.sort_batch
    return handle.encode()


def derive_codes(seed: str, *, count: int, digits: int) -> Iterator[str]:
    """Yield the recovery codes of a seed, derived as in allauth.mfa.recovery_codes.internal.auth."""
    digest = hmac.new(seed.encode(), digestmod=sha1)
    size = min(digits // 2, digest.digest_size)
    for i in range(count):
        digest.update(f"{i:3},".encode())
        yield str(int.from_bytes(digest.digest()[:size], "big") % 10**digits).zfill(digits)


def setting(name: str, default: int) -> int:
    return getattr(settings, f"MFA_{name}", default)


def decrypt_function() -> Callable[[str], str]:
    """Return the function that decrypts a secret: that of MFA_ADAPTER, if allauth.mfa is installed."""
    if apps.is_installed("allauth.mfa"):
        from allauth.mfa.adapter import get_adapter

        decrypt: Callable[[str], str] = get_adapter().decrypt
        return decrypt
    if getattr(settings, "MFA_ADAPTER", None):
        raise CannotImport(
            "MFA_ADAPTER may encrypt secrets, and cannot be used without allauth.mfa in INSTALLED_APPS. Add it for "
            "this command only. If MFA_ADAPTER does not encrypt, remove it instead."
        )
    return str
