"""The 15 test vectors of WebAuthn Level 3, section 16, computed as that section says.

HKDF-SHA-256 derives every value from one string, and ECDSA takes the nonces of RFC 6979, so the bytes are always the
same. `digest` compares them with the published ones. Attestation statements are left out, because the app asks for
none and ignores them.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from twofactor.tests.softkey import BE, BS, CURVES, UV, Key, SoftKey, decode, encode

RP_ID = "example.org"
ORIGIN = "https://example.org"
EXTRA = "clientDataJSON may be extended with additional fields in the future, such as this: "
KEY_BYTES = {-7: 32, -35: 48, -36: 65, -8: 32, -53: 57}
P, Q = 2**1279 - 1, 2**2203 - 1  # the RSA key of the section: the two smallest Mersenne primes of 1024 bits and more


@dataclass(frozen=True)
class Ceremony:
    challenge: bytes
    answer: dict

    @property
    def text(self) -> str:
        return json.dumps(self.answer)

    def signed(self, name: str) -> bytes:
        return decode(self.answer["response"][name])


@dataclass(frozen=True)
class Vector:
    """A registration and an authentication. `digest`: SHA-256 of their client data, authenticator data and signature.

    `attestation`: how many values the section derives for the attestation statement.
    """

    name: str
    digest: str
    algorithm: int = -7
    attestation: int = 0
    client: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def ceremonies(self) -> tuple[Ceremony, Ceremony]:
        derive = deriver(self.name)
        options, challenge = self.options(derive)
        key = SoftKey(self.algorithm, flags=0, key=self.private_key(derive))
        client = self.client_data(derive)
        key.aaguid = derive(16)
        key.credential_id = derive(1023 if self.name.endswith("long-credential-id") else 32)
        key.flags = 0 if self.name.startswith("fido-u2f") else derive(1)[0] & (UV | BE | BS)
        key.flags &= ~(0 if key.flags & BE else BS)
        for length in (16, 32)[: self.attestation][::-1]:
            derive(length)
        registration = Ceremony(challenge, key.create(options, origin=ORIGIN, client=client))
        options, challenge = self.options(derive)
        client = self.client_data(derive)
        key.flags = key.flags & BE | derive(1)[0] & (UV | BS if key.flags & BE else UV)
        return registration, Ceremony(challenge, key.get(options, origin=ORIGIN, client=client))

    def options(self, derive: Callable[[int], bytes]) -> tuple[dict, bytes]:
        challenge = derive(128 if self.algorithm == -36 else 32)
        options = {"challenge": encode(challenge), "rp": {"id": RP_ID}, "rpId": RP_ID, "user": {"id": ""}}
        return options, challenge

    def client_data(self, derive: Callable[[int], bytes]) -> dict:
        """Return what the client data holds beside the usual members. One derived bit decides about `extraData`."""
        if derive(1)[0] & 1:
            return self.client | {"extraData": EXTRA + encode(derive(16))}
        return self.client

    def private_key(self, derive: Callable[[int], bytes]) -> Key:
        if self.algorithm == -257:
            d = pow(65537, -1, (P - 1) * (Q - 1))
            public = rsa.RSAPublicNumbers(65537, P * Q)
            return rsa.RSAPrivateNumbers(P, Q, d, d % (P - 1), d % (Q - 1), pow(Q, -1, P), public).private_key()
        seed = derive(KEY_BYTES[self.algorithm])
        if self.algorithm in CURVES:
            return ec.derive_private_key(int.from_bytes(seed), CURVES[self.algorithm][1])
        kind = ed25519.Ed25519PrivateKey if self.algorithm == -8 else ed448.Ed448PrivateKey
        return kind.from_private_bytes(seed)


def deriver(name: str) -> Callable[[int], bytes]:
    """Return a function that returns the next value of a length. Each has a salt of its own: 0, 1, 2 and so on."""
    salts = iter(range(256))

    def derive(length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, bytes([next(salts)]), name.encode()).derive(b"WebAuthn test vectors")

    return derive


def digest_of(registration: Ceremony, authentication: Ceremony) -> str:
    attestation = registration.signed("attestationObject")
    authenticator_data = attestation[attestation.index(hashlib.sha256(RP_ID.encode()).digest()) :]
    parts = [registration.signed("clientDataJSON"), authenticator_data]
    parts += [authentication.signed(name) for name in ("clientDataJSON", "authenticatorData", "signature")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


VECTORS = [
    Vector("none.ES256", "39b54a56879c8b9db58389ae9e49ab6da4418379cb00d958edc88af8d894259c"),
    Vector("packed-self.ES256", "f7a915863d734368f375a5a608159d159370941d8c575e0aa06c7826c169cecd"),
    Vector(
        "none.ES256.crossOrigin",
        "7112f68b2df19f7b256347480afe344cdeb100c7fd6189e0a7fbfd91b71721b6",
        client={"crossOrigin": True},
    ),
    Vector(
        "none.ES256.topOrigin",
        "6da752d719616391b11670c1b2df0b3e53172fdbbe666f39f4783cedb5dfabd9",
        client={"crossOrigin": True, "topOrigin": "https://example.com"},
    ),
    Vector("none.ES256.long-credential-id", "827ac228823c8734b003955a94093b2bc6192027fa41b164de90e5f132d92b25"),
    Vector("packed.ES256", "723744c05c4ab053a2c7fcfd2aa5874bc03b35eea640fbde810a18ce2009dbd1", attestation=2),
    Vector("packed.ES384", "88338cd68b5f3250af8c3b20ab6dee873e88cfdefece22ac4e1644ad5c715449", -35, attestation=2),
    Vector("packed.ES512", "1b3ceafbb0e70c5f320fe3b54c85a93822e1dd1c100e0928aaf605f4c27e3d39", -36, attestation=2),
    Vector("packed.RS256", "d64dbd8f241118bce1c5d11746d9937d4e530ca4c657a3fd5e87d779bdac817e", -257, attestation=2),
    Vector("packed.EdDSA", "d3912b3be6c7c9cbdcb837bf492720f7c262054f61bb607e993c8b55981f5778", -8, attestation=2),
    Vector("packed.Ed448", "e8c5a41d1d2d023db053514d1278da6516c3a1946ac855218e7a1dd4c5897aa9", -53, attestation=2),
    Vector("tpm.ES256", "bced6f80d38f121b40b75a6b00c50e3dcbf0a91431f46d45cb7bcc4ad4448b9f", attestation=2),
    Vector("android-key.ES256", "373823df06b1b6e41dbfe9c84c36f6fdce468e8911f1e735f6621f60d6c5b154", attestation=1),
    Vector("apple.ES256", "d2ebd6348165a02dfcff9bf696037d59f5a6261ee5c66177bbee778200a38fe6", attestation=1),
    Vector("fido-u2f.ES256", "cb96ccc7ebbdf8b34a3eaacfe711eeb1a7a472974ee015ed6d559ef47ce38c22", attestation=2),
]
