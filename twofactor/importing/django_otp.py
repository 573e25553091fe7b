"""Reads django-otp: a table for each kind of device, and one for the tokens of static devices, in clear."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from django.db import models

from twofactor import conf, times, totp
from twofactor.importing import otp_passkeys, tables
from twofactor.importing.users import ImportedUser, Key, base32_of_hex, build_or_report, last_step, unsupported

NEVER = times.at(0)
# Second factors that cannot be imported, by their table: plugins of django-otp and of django-two-factor-auth.
OTHERS = {
    "otp_email_emaildevice": "email",
    "otp_hotp_hotpdevice": "counter-based codes (HOTP)",
    "otp_twilio_twiliosmsdevice": "SMS",
    "otp_yubikey_yubikeydevice": "a YubiKey",
    "otp_yubikey_remoteyubikeydevice": "a YubiKey",
    "two_factor_phonedevice": "SMS or calls",
}


class Device(Protocol):
    """A row of the table of TOTP devices."""

    pk: int
    user_id: Key
    name: str
    confirmed: bool
    key: str
    step: int
    t0: int
    digits: int
    tolerance: int
    drift: int
    last_t: int
    created_at: datetime | None  # older versions do not have this column and the next one
    last_used_at: datetime | None


class Source:
    def __init__(self) -> None:
        self.apps = tables.table_model(
            "otp_totp_totpdevice",
            **device_fields(),
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
        self.others = {
            tables.table_model(table, **device_fields()): name
            for table, name in OTHERS.items()
            if tables.columns_of(table)
        }
        self.passkeys = otp_passkeys.Source()
        self.static = self.tokens = None
        if tables.columns_of("otp_static_staticdevice"):
            self.static = tables.table_model("otp_static_staticdevice", **device_fields())
            self.tokens = tables.table_model(
                "otp_static_statictoken", device_id=models.BigIntegerField(), token=models.CharField(max_length=16)
            )

    def keys(self) -> list[Key]:
        return sorted({*tables.user_keys(*filter(None, [self.apps, self.static, *self.others])), *self.passkeys.keys()})

    def users(self, keys: list[Key]) -> Iterator[ImportedUser]:
        apps = tables.group_by_user(self.apps.objects.filter(user_id__in=keys))
        codes, others, passkeys = self.codes_of(keys), self.others_of(keys), self.passkeys.of_users(keys)
        for key in keys:
            user = build_or_report(self.build, key, apps[key], codes[key], others[key])
            yield passkeys[key].add_to(user, has_app=any(device.confirmed for device in apps[key]))

    def codes_of(self, keys: list[Key]) -> dict[Key, list[str]]:
        """Return the unused tokens by user. django-otp deletes used ones."""
        found: dict[Key, list[str]] = defaultdict(list)
        if self.static and self.tokens:
            devices = self.static.objects.filter(user_id__in=keys, confirmed=True)
            owners = dict(devices.values_list("pk", "user_id"))
            for token in self.tokens.objects.filter(device_id__in=list(owners)):
                found[owners[token.device_id]].append(token.token)
        return found

    def others_of(self, keys: list[Key]) -> dict[Key, set[str]]:
        """Return the names of the confirmed second factors that cannot be imported, by user."""
        found: dict[Key, set[str]] = defaultdict(set)
        for model, name in self.others.items():
            for row in model.objects.filter(user_id__in=keys, confirmed=True):
                found[row.user_id].add(name)
        return found

    def build(self, key: Key, devices: list[Device], codes: list[str], others: set[str]) -> ImportedUser:
        other_names = " and ".join(sorted(others))
        confirmed = sorted((device for device in devices if device.confirmed), key=last_use, reverse=True)
        if not confirmed:
            problem = missing_app(other_names, has_codes=bool(codes), unconfirmed=bool(devices))
            return ImportedUser(key, codes=tuple(codes), problem=problem)
        supported = [device for device in confirmed if not problem_of(device)]
        if not supported:
            return ImportedUser(key, problem=problem_of(confirmed[0]))
        device = supported[0]
        notes = []
        if has_clock_drift(device):
            notes.append(f"the clock of the phone is off by {device.drift * totp.PERIOD} s")
        if len(confirmed) > 1:
            notes.append(f"only one of {len(confirmed)} apps, the one used last")
        if other_names:
            notes.append(f"not imported: {other_names}")
        return user_of(device, codes, notes)


def device_fields() -> dict[str, tables.AnyField]:
    """Return the fields that every kind of device has."""
    return {
        "user_id": tables.user_key_field(),
        "name": models.CharField(max_length=64),
        "confirmed": models.BooleanField(),
    }


def last_use(device: Device) -> tuple[datetime, int, int]:
    """Return a sort key. Older versions store the time step of the last use, but not its time."""
    return getattr(device, "last_used_at", None) or NEVER, device.last_t, device.pk


def has_clock_drift(device: Device) -> bool:
    """Return whether django-otp has adapted to a clock that is outside of the drift window here."""
    return abs(device.drift) > conf.drift_window()


def problem_of(device: Device) -> str:
    if problem := unsupported(digits=device.digits, period=device.step, t0=device.t0):
        return problem
    return "" if base32_of_hex(device.key) else "the secret is invalid"


def missing_app(others: str, *, has_codes: bool, unconfirmed: bool) -> str:
    if others:
        return f"has {others} only"
    if unconfirmed:
        return "the app was never confirmed"
    return "has backup tokens only" if has_codes else "has no device with a secret"


def user_of(device: Device, codes: list[str], notes: list[str]) -> ImportedUser:
    created_at = getattr(device, "created_at", None)
    return ImportedUser(
        device.user_id,
        base32_of_hex(device.key) or "",
        # The step of the code that confirmed the device is not stored, but the time is.
        last_time_step=max(device.last_t, last_step([created_at], ahead=device.tolerance)),
        created_at=created_at,
        codes=tuple(codes),
        notes=tuple(notes),
    )
