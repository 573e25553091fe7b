"""An authenticator in software. It shares no code with the app and none with fido2.

Each method takes keywords that change one thing in an otherwise right answer, to test how it is refused.
"""

import base64
import hashlib
import json
import os
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80  # flags: WebAuthn Level 3, section 6.1
CURVES = {-7: (1, ec.SECP256R1()), -35: (2, ec.SECP384R1()), -36: (3, ec.SECP521R1())}
HASHES = {-7: hashes.SHA256(), -35: hashes.SHA384(), -36: hashes.SHA512()}
Json = dict[str, Any]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: object) -> bytes:
    """Encode a value as CBOR (RFC 8949). Members keep their order."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            return _head(5, len(value)) + b"".join(cbor(key) + cbor(member) for key, member in value.items())
    raise TypeError(value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size)


def new_key(algorithm: int) -> Key:
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm][1])
    return rsa.generate_private_key(65537, 2048) if algorithm == -257 else ed25519.Ed25519PrivateKey.generate()


def cose_key(algorithm: int, key: Key) -> dict[int, object]:
    """Return the public key in COSE (RFC 9053)."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        size, point = (public.key_size + 7) // 8, public.public_numbers()
        return {1: 2, 3: algorithm, -1: CURVES[algorithm][0], -2: point.x.to_bytes(size), -3: point.y.to_bytes(size)}
    if isinstance(public, rsa.RSAPublicKey):
        number, exponent = public.public_numbers().n, public.public_numbers().e
        return {1: 3, 3: algorithm, -1: number.to_bytes((number.bit_length() + 7) // 8), -2: exponent.to_bytes(3)}
    curve = 6 if isinstance(public, ed25519.Ed25519PublicKey) else 7
    return {1: 1, 3: algorithm, -1: curve, -2: public.public_bytes_raw()}


class SoftKey:
    """One credential.

    `flags`: the flags beside "user present". `step`: what the sign count advances by, 0 for a key without a count.
    """

    def __init__(
        self,
        algorithm: int = -7,
        *,
        flags: int = UV | BE | BS,
        sign_count: int = 0,
        step: int = 0,
        aaguid: bytes = bytes(16),
        credential_id: bytes | None = None,
        key: Key | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.flags = flags
        self.sign_count = sign_count
        self.step = step
        self.aaguid = aaguid
        self.credential_id = credential_id or os.urandom(32)
        self.key = key or new_key(algorithm)
        self.cose = cose_key(algorithm, self.key)
        self.user_handle = b""

    @property
    def public_key(self) -> bytes:
        return cbor(self.cose)

    def dump(self) -> Json:
        """Return the key as JSON, to use it in another process."""
        private = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        numbers = {name: getattr(self, name) for name in ("algorithm", "flags", "sign_count", "step")}
        data = {name: getattr(self, name).hex() for name in ("aaguid", "credential_id", "user_handle")}
        return {**numbers, **data, "private": private.hex()}

    @classmethod
    def load(cls, dumped: Json) -> "SoftKey":
        fields: Json = {name: dumped[name] for name in ("flags", "sign_count", "step")}
        fields |= {name: bytes.fromhex(dumped[name]) for name in ("aaguid", "credential_id")}
        fields["key"] = load_der_private_key(bytes.fromhex(dumped["private"]), None)
        key = cls(dumped["algorithm"], **fields)
        key.user_handle = bytes.fromhex(dumped["user_handle"])
        return key

    def sign(self, message: bytes) -> bytes:
        """Sign, with the deterministic nonce of RFC 6979 where the algorithm needs one."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(HASHES[self.algorithm], deterministic_signing=True))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message)

    def create(
        self, options: Json, *, origin: str, client: Json | None = None, rp_id: str = "", flags: int | None = None,
        cose: object = None, attested: bool = True, fmt: str = "none", statement: Json | None = None, **more: object,
    ) -> Json:  # fmt: skip
        """Answer `navigator.credentials.create({publicKey: options})`, as `toJSON()` returns it."""
        self.user_handle = decode(options["user"]["id"])
        key = self.aaguid + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor(cose or self.cose)
        data = self._authenticator_data(rp_id or options["rp"]["id"], flags, key if attested else b"")
        attestation = cbor({"fmt": fmt, "attStmt": statement or {}, "authData": data})
        response = {
            "clientDataJSON": encode(client_data("webauthn.create", options, origin, client)),
            "attestationObject": encode(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._answer(response, {"credProps": {"rk": True}}) | more

    def get(
        self, options: Json, *, origin: str, client: Json | None = None, rp_id: str = "", flags: int | None = None,
        handle: bytes | None = None, signature: bytes | None = None, **more: object,
    ) -> Json:  # fmt: skip
        """Answer `navigator.credentials.get({publicKey: options})`, as `toJSON()` returns it."""
        said = client_data("webauthn.get", options, origin, client)
        data = self._authenticator_data(rp_id or options["rpId"], flags)
        made = self.sign(data + hashlib.sha256(said).digest()) if signature is None else signature
        handle = self.user_handle if handle is None else handle
        response = {
            "clientDataJSON": encode(said),
            "authenticatorData": encode(data),
            "signature": encode(made),
            "userHandle": encode(handle) if handle else None,
        }
        return self._answer(response, {}) | more

    def _authenticator_data(self, rp_id: str, flags: int | None, attested: bytes = b"") -> bytes:
        self.sign_count += self.step
        said = UP | self.flags if flags is None else flags
        said |= AT if attested else 0
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", said, self.sign_count) + attested

    def _answer(self, response: Json, extensions: Json) -> Json:
        return {
            "id": encode(self.credential_id),
            "rawId": encode(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": response,
            "clientExtensionResults": extensions,
        }


def client_data(kind: str, options: Json, origin: str, more: Json | None) -> bytes:
    """Return what a browser lets an authenticator sign. `more` replaces or adds members."""
    said = {"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
    return json.dumps(said | (more or {}), separators=(",", ":")).encode()
