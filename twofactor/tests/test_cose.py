"""Public keys of passkeys: which can be used, and what is stored of them."""

import pytest

from twofactor import cose
from twofactor.tests.softkey import SoftKey, cbor

ED25519, ES256, RS256 = (SoftKey(algorithm).cose for algorithm in cose.ALGORITHMS)
X, Y = -2, -3
MODULUS, EXPONENT = -1, -2
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
ON_P384 = SoftKey(-35).cose
# The public keys of RFC 8032, section 7.1
RFC_8032 = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
]


@pytest.mark.parametrize("key", [ED25519, ES256, RS256])
def test_a_usable_key_is_stored_without_optional_members(key):
    assert cose.checked(key | {4: [2], 2: b"ID", "note": "x" * 1000}) == cose.checked(key)
    assert len(cose.checked(key)) == len(cbor(key))


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("public_key", RFC_8032)
def test_keys_of_ed25519_are_usable_with_either_sign_of_x(public_key, sign):
    *y, last = bytes.fromhex(public_key)
    assert cose.checked(ED25519 | {X: bytes([*y, last ^ sign])})


@pytest.mark.parametrize("bits, usable", [(1024, False), (2047, False), (2048, True), (4096, True), (4097, False)])
def test_an_rsa_key_has_2048_to_4096_bits(bits, usable):
    modulus = (2 ** (bits - 1) + 1).to_bytes(1024)
    if usable:
        assert cose.checked(RS256 | {MODULUS: modulus})
    else:
        with pytest.raises(ValueError, match="not a usable key"):
            cose.checked(RS256 | {MODULUS: modulus})


UNUSABLE = {
    "another type": ES256 | {1: 1},
    "no type": {label: value for label, value in ES256.items() if label != 1},
    "another curve": ES256 | {-1: 2},
    "a point off the curve": ES256 | {Y: bytes(31) + b"\1"},
    "the point at infinity": ES256 | {X: bytes(32), Y: bytes(32)},
    "a short number": ES256 | {X: ES256[X][1:]},
    "a long number": ES256 | {X: b"\0" + ES256[X]},
    "a compressed point": ES256 | {Y: True},
    "a number instead of bytes": ES256 | {X: 5},
    "a point of P-384": ON_P384 | {3: -7, -1: 1},
    "a big RSA exponent": RS256 | {EXPONENT: b"\1" * 9},
    "an even RSA exponent": RS256 | {EXPONENT: b"\4"},
    "no RSA exponent": RS256 | {EXPONENT: b""},
    "an RSA exponent as text": RS256 | {EXPONENT: "AQAB"},
    "another curve of EdDSA": ED25519 | {-1: 7},
    "a point off Ed25519": ED25519 | {X: b"\2" + bytes(31)},
    "a number outside the field of Ed25519": ED25519 | {X: b"\xff" * 31 + b"\x7f"},
    "a short Ed25519 key": ED25519 | {X: bytes(31)},
    "a point of Ed25519 of order 1": ED25519 | {X: b"\1" + bytes(31)},
    "a point of Ed25519 of order 2": ED25519 | {X: (2**255 - 20).to_bytes(32, "little")},
    "a point of Ed25519 of order 4": ED25519 | {X: bytes(32)},
    "a point of Ed25519 of order 8": ED25519 | {X: ORDER_8},
    "a text as algorithm": ES256 | {3: "ES256"},
    "an algorithm that is not offered": ES256 | {3: -9},
}


@pytest.mark.parametrize("key", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_be_used_is_refused(key):
    with pytest.raises((ValueError, TypeError, KeyError)):
        cose.checked(key)


@pytest.mark.parametrize("stored", [b"", b"\x80", b"\xa0", cbor({1: 2, 3: -7})])
def test_a_stored_key_that_cannot_be_read_is_an_error_and_no_wrong_signature(stored):
    with pytest.raises(Exception):  # noqa: B017, PT011 - any: fido2's parser raises different ones
        cose.verify(stored, b"", b"")
