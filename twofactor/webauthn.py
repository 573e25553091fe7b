"""Verify the answers of passkeys (WebAuthn Level 3, sections 7.1 and 7.2). Pure: no Django, no clock, no state.

fido2 parses CBOR and verifies signatures. Its server is not used: it accepts subdomains and other ports as origins,
frames, and algorithms that were not offered. fido2 is imported inside functions, because importing it takes 0.02 s
and 1.8 MB, which a process that never meets a passkey need not pay.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from twofactor import cose

if TYPE_CHECKING:
    from fido2.webauthn import AuthenticatorData

MAX_LENGTH = 16_384  # of an answer, in characters; fido2's parser takes quadratic time
CREDENTIAL_ID_BYTES = range(16, 1024)

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_TRANSPORT = re.compile(r"[a-z-]{1,16}")


class Refused(Exception):
    """The answer was not accepted. `why` is for the log, and is one of these:

    - `malformed`, `too_long`: it cannot be parsed.
    - `type`, `challenge`, `origin`, `rp_id`: it belongs to another ceremony, site or domain.
    - `frame`: it was made in a frame of another site.
    - `presence`, `verification`: the user was not present, or not verified where this is required.
    - `backup_state`, `backup_eligibility`: the flags contradict each other, or what the registration said.
    - `no_key`, `algorithm`, `public_key`: a registration without a key that can be used.
    - `credential_id`: too short, too long, or not the one of the key.
    - `user_handle`, `signature`: an assertion of another account or key.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What an answer must match. `origins` are compared exactly; none of the values may come from the request."""

    challenge: bytes
    rp_id: str
    origins: list[str] | tuple[str, ...]
    require_verification: bool = False  # of the user, by PIN or biometrics


@dataclass(frozen=True)
class Registration:
    """A new credential. `discoverable` is None if the browser did not say."""

    credential_id: bytes
    public_key: bytes  # COSE
    aaguid: UUID
    sign_count: int
    user_verified: bool
    backup_eligible: bool
    backup_state: bool
    discoverable: bool | None
    transports: tuple[str, ...]


@dataclass(frozen=True)
class Assertion:
    """What a credential says about itself when it signs."""

    sign_count: int
    user_verified: bool
    backup_eligible: bool
    backup_state: bool


def verify_registration(answer: str, expected: Expected) -> Registration:
    """Return the new credential of this answer, the JSON of a PublicKeyCredential (section 7.1), or raise Refused.

    The attestation statement is ignored. The caller must make sure that no user has the credential ID already.
    """
    with _refusing_malformed():
        credential = _credential(answer)
        _check_client_data(_members(credential["response"]), "webauthn.create", expected)
        return read_registration(credential, expected)


def read_registration(credential: dict[str, object], expected: Expected) -> Registration:
    """Return the credential of a PublicKeyCredential, or raise Refused. Its challenge and origin are not checked."""
    with _refusing_malformed():
        from fido2 import cbor
        from fido2.webauthn import AuthenticatorData

        response = _members(credential["response"])
        attestation = _members(cbor.decode(_decode(response["attestationObject"])))
        data = AuthenticatorData(_octets(attestation["authData"]))
        _check_authenticator_data(data, expected)
        attested = data.credential_data
        if attested is None:
            raise Refused("no_key")
        return Registration(
            credential_id=checked_id(attested.credential_id, _decode(credential["rawId"])),
            public_key=checked_key(attested.public_key),
            aaguid=UUID(bytes=bytes(attested.aaguid)),
            sign_count=data.counter,
            user_verified=data.is_user_verified(),
            backup_eligible=data.is_backup_eligible(),
            backup_state=data.is_backed_up(),
            discoverable=_discoverable(credential),
            transports=transports_in(response.get("transports")),
        )


def verify_assertion(
    answer: str, expected: Expected, *, public_key: bytes, user_handle: bytes, backup_eligible: bool | None
) -> Assertion:
    """Return what this answer, the JSON of a PublicKeyCredential, asserts (section 7.2), or raise Refused.

    `public_key`, `user_handle`, `backup_eligible`: as stored for the credential that `credential_id_of` names.
    An empty `user_handle` or a `backup_eligible` of None is not known, because the credential was imported, and is not
    compared. The caller judges the sign count.
    """
    with _refusing_malformed():
        from fido2.webauthn import AuthenticatorData

        response = _members(_credential(answer)["response"])
        handle = response.get("userHandle")
        if handle and user_handle and _decode(handle) != user_handle:
            raise Refused("user_handle")
        client_data = _check_client_data(response, "webauthn.get", expected)
        data = AuthenticatorData(_decode(response["authenticatorData"]))
        _check_authenticator_data(data, expected)
        if backup_eligible not in {None, data.is_backup_eligible()}:
            raise Refused("backup_eligibility")
        signed = data + hashlib.sha256(client_data).digest()
        if not cose.verify(public_key, signed, _decode(response["signature"])):
            raise Refused("signature")
        return Assertion(data.counter, data.is_user_verified(), data.is_backup_eligible(), data.is_backed_up())


def credential_id_of(answer: str) -> bytes:
    """Return the ID of the credential that this answer claims to come from, or raise Refused."""
    with _refusing_malformed():
        return _decode(_credential(answer)["rawId"])


@contextmanager
def _refusing_malformed() -> Iterator[None]:
    """Refuse what a parser cannot read. fido2 raises IndexError, AttributeError, RecursionError and others (tried)."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise Refused("malformed") from error


def _credential(answer: str) -> dict[str, object]:
    if len(answer) > MAX_LENGTH:
        raise Refused("too_long")
    credential = _members(json.loads(answer))
    if credential["type"] != "public-key":
        raise Refused("type")
    if credential["id"] != credential["rawId"]:
        raise Refused("credential_id")
    return credential


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refused("malformed")
    return value


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):  # bytes(n) would be n bytes of zeros
        raise Refused("malformed")
    return value


def _decode(value: object) -> bytes:
    """Decode base64url without padding. Python's decoder alone also accepts other characters."""
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise Refused("malformed")
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _check_client_data(response: dict[str, object], ceremony: str, expected: Expected) -> bytes:
    """Check what the browser says about the ceremony, and return it as it was signed.

    Browsers may add members, so that unknown ones are ignored.
    """
    client_data = _decode(response["clientDataJSON"])
    said = _members(json.loads(client_data.decode("utf-8-sig")))
    if said["type"] != ceremony:
        raise Refused("type")
    if _decode(said["challenge"]) != expected.challenge:
        raise Refused("challenge")
    if said["origin"] not in expected.origins:
        raise Refused("origin")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise Refused("frame")
    return client_data


def _check_authenticator_data(data: "AuthenticatorData", expected: Expected) -> None:
    if data.rp_id_hash != hashlib.sha256(expected.rp_id.encode()).digest():
        raise Refused("rp_id")
    if not data.is_user_present():
        raise Refused("presence")
    if expected.require_verification and not data.is_user_verified():
        raise Refused("verification")
    if data.is_backed_up() and not data.is_backup_eligible():
        raise Refused("backup_state")


def checked_id(credential_id: bytes, same: bytes) -> bytes:
    if len(credential_id) not in CREDENTIAL_ID_BYTES or credential_id != same:
        raise Refused("credential_id")
    return credential_id


def checked_key(key: Mapping[object, object]) -> bytes:
    """Return a public key as CBOR, or raise Refused if it cannot be used here."""
    if key.get(3) not in cose.ALGORITHMS:
        raise Refused("algorithm")
    try:
        return cose.checked(key)
    except Exception as error:
        raise Refused("public_key") from error


def _discoverable(credential: dict[str, object]) -> bool | None:
    """Return what the extension `credProps` says (section 10.1.3), or None if the browser does not support it."""
    extensions = _members(credential.get("clientExtensionResults") or {})
    resident_key = _members(extensions.get("credProps") or {}).get("rk")
    return resident_key if isinstance(resident_key, bool) else None


def transports_in(said: object) -> tuple[str, ...]:
    """Return how the authenticator can be reached. Values that are not in the standard yet are kept (section 7.1)."""
    transports = said if isinstance(said, list) else []
    return tuple(t for t in transports if isinstance(t, str) and _TRANSPORT.fullmatch(t))[:8]
