"""Reads passkeys of plugins of django-otp: that of django-two-factor-auth, and django-otp-webauthn."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha1
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.db import models

from twofactor import webauthn
from twofactor.ceremonies import decode, encode
from twofactor.importing import passkeys, tables
from twofactor.importing.passkeys import Found
from twofactor.importing.users import ImportedPasskey, Key

MIXIN = "two_factor.plugins.webauthn.forms.DefaultWebauthnEntitiesFormMixin"


class Device(Protocol):
    """What the rows of both have in common."""

    pk: int
    user_id: Key
    name: str
    sign_count: int
    created_at: datetime | None
    last_used_at: datetime | None


class PluginDevice(Device, Protocol):
    """A row of the plugin. Its values are in base64url."""

    key_handle: str
    public_key: str


class PackageDevice(Device, Protocol):
    """A row of django-otp-webauthn."""

    credential_id: bytes
    public_key: bytes
    aaguid: str
    transports: object
    backup_eligible: bool
    backup_state: bool
    discoverable: bool | None


class Source:
    """The tables that exist."""

    def __init__(self) -> None:
        self.plugin = tables.optional_table(
            "two_factor_webauthn_webauthndevice",
            **device_fields(),
            public_key=models.TextField(),
            key_handle=models.TextField(),
        )
        self.package = tables.optional_table(
            "django_otp_webauthn_webauthncredential",
            **device_fields(),
            credential_id=models.BinaryField(),
            public_key=models.BinaryField(),
            aaguid=models.CharField(max_length=36),
            transports=models.JSONField(),
            backup_eligible=models.BooleanField(),
            backup_state=models.BooleanField(),
            discoverable=models.BooleanField(null=True),
        )
        self.attestations = tables.optional_table(
            "django_otp_webauthn_webauthnattestation",
            credential_id=models.BigIntegerField(),
            data=models.BinaryField(),
        )
        self.handles = tables.optional_table(
            "django_otp_webauthn_webauthnuserhandle",
            user_id=tables.user_key_field(primary_key=True),
            handle_hex=models.CharField(max_length=128),
        )

    def keys(self) -> list[Key]:
        return tables.user_keys(*filter(None, [self.plugin, self.package]))

    def of_users(self, keys: list[Key]) -> dict[Key, Found]:
        """Return the confirmed passkeys by user."""
        converted: dict[Key, list[Callable[[], ImportedPasskey]]] = defaultdict(list)
        for device in tables.rows_of(self.plugin, user_id__in=keys, confirmed=True):
            converted[device.user_id].append(partial(of_plugin, device))
        devices = tables.rows_of(self.package, user_id__in=keys, confirmed=True)
        found = tables.rows_of(self.attestations, credential_id__in=[device.pk for device in devices])
        attestations = {row.credential_id: bytes(row.data) for row in found}
        handles = {row.user_id: row.handle_hex for row in tables.rows_of(self.handles, user_id__in=keys)}
        for device in devices:
            details = attestations.get(device.pk), handles.get(device.user_id, "")
            converted[device.user_id].append(partial(of_package, device, *details))
        return {key: passkeys.read(converted[key], lambda convert: convert()) for key in keys}


def device_fields() -> dict[str, tables.AnyField]:
    return {
        "user_id": tables.user_key_field(),
        "name": models.CharField(max_length=64),
        "confirmed": models.BooleanField(),
        "sign_count": models.BigIntegerField(),
        "created_at": models.DateTimeField(null=True),
        "last_used_at": models.DateTimeField(null=True),
    }


def of_plugin(device: PluginDevice) -> ImportedPasskey:
    """Return a passkey of the plugin of django-two-factor-auth. It stores no flags."""
    rp_id = getattr(settings, "TWO_FACTOR_WEBAUTHN_RP_ID", None)
    passkey = passkeys.of_key(decode(device.key_handle), cbor_of(decode(device.public_key)), rp_id=rp_id)
    # The plugin's mixin makes this user handle. That of another mixin is not known.
    is_own = getattr(settings, "TWO_FACTOR_WEBAUTHN_ENTITIES_FORM_MIXIN", MIXIN) == MIXIN
    handle = sha1(str(device.user_id).encode()).hexdigest().encode() if is_own else b""  # noqa: S324
    return replace(with_use(passkey, device), user_handle=handle, name="" if device.name == "default" else device.name)


def of_package(device: PackageDevice, attestation: bytes | None, handle_hex: str) -> ImportedPasskey:
    """Return a passkey of django-otp-webauthn. The attestation has the domain, and whether the user was verified."""
    if attestation is None:
        rp_id = getattr(settings, "OTP_WEBAUTHN_RP_ID", None)
        key = cbor_of(bytes(device.public_key))
        passkey = passkeys.of_key(bytes(device.credential_id), key, rp_id=rp_id, aaguid=UUID(device.aaguid))
    else:
        answer: dict[str, object] = {
            "rawId": encode(bytes(device.credential_id)),
            "response": {"attestationObject": encode(attestation)},
        }
        passkey = passkeys.of_registration(answer)
    return replace(
        with_use(passkey, device),
        user_handle=bytes.fromhex(handle_hex),
        name=device.name,
        transports=webauthn.transports_in(device.transports),
        backup_eligible=device.backup_eligible,
        backup_state=device.backup_state,
        discoverable=device.discoverable,
    )


def with_use(passkey: ImportedPasskey, device: Device) -> ImportedPasskey:
    return replace(
        passkey,
        sign_count=device.sign_count,
        created_at=getattr(device, "created_at", None),
        last_used_at=getattr(device, "last_used_at", None),
    )


def cbor_of(key: bytes) -> Mapping[object, object]:
    from fido2 import cbor

    members = cbor.decode(key)
    if not isinstance(members, Mapping):
        raise TypeError("not a key")
    return members
