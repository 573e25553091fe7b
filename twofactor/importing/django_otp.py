"""django-otp: a table for each kind of device, and one for the tokens of static devices, in clear."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import models

from twofactor import conf, totp
from twofactor.importing import tables
from twofactor.importing.person import Person, base32_of_hex, last_step, read, unfit

NEVER = datetime.fromtimestamp(0, UTC)
# What else may stand for somebody's second factor: the tables of its plugins and of django-two-factor-auth's.
OTHERS = {
    "otp_email_emaildevice": "e-mail",
    "otp_hotp_hotpdevice": "codes that count (HOTP)",
    "otp_twilio_twiliosmsdevice": "SMS",
    "otp_yubikey_yubikeydevice": "a YubiKey",
    "otp_yubikey_remoteyubikeydevice": "a YubiKey",
    "two_factor_phonedevice": "SMS or calls",
    "two_factor_webauthn_webauthndevice": "a security key",
}


class Source:
    def __init__(self) -> None:
        self.apps = device_table(
            "otp_totp_totpdevice",
            key=models.CharField(max_length=80),
            step=models.IntegerField(),
            t0=models.BigIntegerField(),
            digits=models.IntegerField(),
            tolerance=models.IntegerField(),
            drift=models.IntegerField(),
            last_t=models.BigIntegerField(),
            created_at=models.DateTimeField(null=True),
            last_used_at=models.DateTimeField(null=True),
        )
        self.others = {device_table(name): words for name, words in OTHERS.items() if tables.columns_of(name)}
        self.static = self.tokens = None
        if tables.columns_of("otp_static_staticdevice"):
            self.static = device_table("otp_static_staticdevice")
            self.tokens = tables.table(
                "otp_static_statictoken", device_id=models.BigIntegerField(), token=models.CharField(max_length=16)
            )

    def keys(self) -> list[Any]:
        return tables.keys_in(*filter(None, [self.apps, self.static, *self.others]))

    def people(self, keys: list[Any]) -> Iterator[Person]:
        apps = tables.by_user(self.apps.objects.filter(user_id__in=keys))
        codes, others = self.codes_of(keys), self.others_of(keys)
        for key in keys:
            yield read(self.person, key, apps[key], codes[key], others[key])

    def codes_of(self, keys: list[Any]) -> dict[Any, list[str]]:
        """Return the tokens that are left, by user. One that was used is gone from the table."""
        found: dict[Any, list[str]] = defaultdict(list)
        if self.static and self.tokens:
            devices = self.static.objects.filter(user_id__in=keys, confirmed=True)
            owners = dict(devices.values_list("pk", "user_id"))
            for token in self.tokens.objects.filter(device_id__in=list(owners)):
                found[owners[token.device_id]].append(token.token)
        return found

    def others_of(self, keys: list[Any]) -> dict[Any, set[str]]:
        """Return what else is confirmed as a second factor, by user."""
        found: dict[Any, set[str]] = defaultdict(set)
        for model, words in self.others.items():
            for row in model.objects.filter(user_id__in=keys, confirmed=True):
                found[row.user_id].add(words)
        return found

    def person(self, key: Any, devices: list[Any], codes: list[str], others: set[str]) -> Person:
        words = " and ".join(sorted(others))
        confirmed = sorted((device for device in devices if device.confirmed), key=used, reverse=True)
        if not confirmed:
            return Person(key, why_not=nothing_to_bring(words, has_codes=bool(codes), unconfirmed=bool(devices)))
        fit = [device for device in confirmed if not why_not(device)]
        if not fit:
            return Person(key, why_not=why_not(confirmed[0]))
        notes = [f"their clock is off by {fit[0].drift * totp.PERIOD} s"] if is_adrift(fit[0]) else []
        notes += [f"of {len(confirmed)} apps the one used last"] if len(confirmed) > 1 else []
        notes += [f"{words} stays behind"] if words else []
        return of_device(fit[0], codes, notes)


def device_table(table_name: str, **fields: models.Field) -> Any:
    common = {"user_id": tables.user_key(), "name": models.CharField(max_length=64), "confirmed": models.BooleanField()}
    return tables.table(table_name, **common, **fields)


def used(device: Any) -> tuple[Any, ...]:
    """What tells which of two devices was used last; older versions do not note the time, but the step."""
    return getattr(device, "last_used_at", None) or NEVER, device.last_t, device.pk


def is_adrift(device: Any) -> bool:
    """True if that app let this phone's clock run further off than codes are looked for here."""
    return abs(device.drift) > conf.drift_window()


def why_not(device: Any) -> str:
    unreadable = "" if base32_of_hex(device.key) else "the secret is no secret"
    return unfit(digits=device.digits, period=device.step, t0=device.t0) or unreadable


def nothing_to_bring(others: str, *, has_codes: bool, unconfirmed: bool) -> str:
    if others:
        return f"has {others} only"
    if unconfirmed:
        return "never confirmed the app"
    return "has backup tokens only" if has_codes else "has no device with a secret"


def of_device(device: Any, codes: list[str], notes: list[str]) -> Person:
    created_at = getattr(device, "created_at", None)
    return Person(
        device.user_id,
        base32_of_hex(device.key) or "",
        # The code that turned it on is noted by nobody but the clock.
        last_time_step=max(device.last_t, last_step([created_at], ahead=device.tolerance)),
        created_at=created_at,
        codes=tuple(codes),
        notes=tuple(notes),
    )
