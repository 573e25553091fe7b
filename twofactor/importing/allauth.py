"""django-allauth's own second factor, `allauth.mfa`: one table, with what belongs to a row in JSON."""

import hmac
from collections.abc import Callable, Iterator
from hashlib import sha1
from typing import Any

from django.apps import apps
from django.conf import settings

from twofactor import totp
from twofactor.importing import tables
from twofactor.importing.person import CannotImport, Person, base32, last_step, unfit


class Source(tables.OneTable):
    """Settings that allauth.mfa reads (MFA_...) must still be as they were: its codes are derived by them."""

    def __init__(self) -> None:
        super().__init__("mfa_authenticator")
        self.decrypt = decrypting()

    def person(self, key: Any, rows: dict[str, Any]) -> Person:
        app = rows.get("totp")
        if app is None:
            return Person(key, why_not=f"has {'a security key' if 'webauthn' in rows else 'recovery codes'} only")
        if why_not := unfit(digits=setting("TOTP_DIGITS", totp.DIGITS), period=setting("TOTP_PERIOD", totp.PERIOD)):
            return Person(key, why_not=why_not)
        secret = base32(self.opened(app.data.get("secret")))
        if secret is None:
            return Person(key, why_not="the secret does not open, or is no secret")
        used_at = [getattr(app, "created_at", None), getattr(app, "last_used_at", None)]
        return Person(
            key,
            secret,
            # Which code was used it keeps in the cache for half a minute only; when, it keeps in the row.
            last_time_step=last_step(used_at, ahead=setting("TOTP_TOLERANCE", 0)),
            created_at=used_at[0],
            codes=self.unused(rows["recovery_codes"].data) if "recovery_codes" in rows else (),
            notes=("their security key stays behind",) if "webauthn" in rows else (),
        )

    def unused(self, data: dict[str, Any]) -> tuple[str, ...]:
        """Return the recovery codes that are left: drawn from a seed, or brought there from elsewhere."""
        if data.get("migrated_codes") is not None:
            return tuple(filter(None, map(self.opened, data["migrated_codes"])))
        seed = self.opened(data.get("seed"))
        drawn = drawn_from(seed, count=setting("RECOVERY_CODE_COUNT", 10), digits=setting("RECOVERY_CODE_DIGITS", 8))
        return tuple(code for i, code in enumerate(drawn) if not data.get("used_mask", 0) >> i & 1) if seed else ()

    def opened(self, text: Any) -> str:
        """Return what was encrypted; empty if it does not open."""
        try:
            return self.decrypt(text) if isinstance(text, str) else ""
        except Exception:  # noqa: BLE001 - the adapter is the site's own, and may raise whatever it likes
            return ""


def drawn_from(seed: str, *, count: int, digits: int) -> Iterator[str]:
    """Yield the recovery codes of a seed, as allauth.mfa.recovery_codes.internal.auth derives them."""
    digest = hmac.new(seed.encode(), digestmod=sha1)
    size = min(digits // 2, digest.digest_size)
    for i in range(count):
        digest.update(f"{i:3},".encode())
        yield str(int.from_bytes(digest.digest()[:size], "big") % 10**digits).zfill(digits)


def setting(name: str, default: int) -> int:
    return getattr(settings, f"MFA_{name}", default)


def decrypting() -> Callable[[str], str]:
    """Return what opens a secret: the site's adapter, where it has one of its own."""
    if apps.is_installed("allauth.mfa"):
        from allauth.mfa.adapter import get_adapter

        return get_adapter().decrypt
    if getattr(settings, "MFA_ADAPTER", None):
        raise CannotImport(
            "MFA_ADAPTER may encrypt secrets, and cannot be asked without allauth.mfa in INSTALLED_APPS. Add that for "
            'this command alone, with SILENCED_SYSTEM_CHECKS = ["fields.E305"]; or take MFA_ADAPTER away.'
        )
    return str
