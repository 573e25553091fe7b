"""Public keys of passkeys, in the format COSE (RFC 9053; RFC 8812 for RSA). Pure: no Django, no clock, no state.

fido2 and cryptography verify the signatures. fido2 is imported inside functions, as in webauthn.py.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature

ED25519, ES256, RS256 = -8, -7, -257
ALGORITHMS = (ED25519, ES256, RS256)  # in the order that WebAuthn Level 3 recommends
RSA_BITS = range(2048, 4097)

_KEY_TYPE, _ALGORITHM = 1, 3  # labels that every key has
_TYPES = {ED25519: 1, ES256: 2, RS256: 3}
_LABELS = {ED25519: (-1, -2), ES256: (-1, -2, -3), RS256: (-1, -2)}  # curve, x, y; modulus, exponent
_FIELD = 2**255 - 19  # the prime and the constant d of Ed25519's curve (RFC 8032, section 5.1)
_D = -121665 * pow(121666, -1, _FIELD) % _FIELD


def checked(key: Mapping[object, object]) -> bytes:
    """Return a key of one of ALGORITHMS as CBOR, without optional members. Raise an exception if it cannot be used."""
    from fido2 import cbor

    algorithm = key[_ALGORITHM]
    if not isinstance(algorithm, int) or key[_KEY_TYPE] != _TYPES[algorithm]:
        raise ValueError("not a key of this algorithm")
    members = {label: key[label] for label in (_KEY_TYPE, _ALGORITHM, *_LABELS[algorithm])}
    _check_numbers(algorithm, [member for member in members.values() if isinstance(member, bytes)])
    encoded = cbor.encode(members)
    verify(encoded, b"", bytes(64))  # cryptography raises an exception if it cannot read the key
    return encoded


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the signature is right. Raise an exception if the key cannot be used."""
    from fido2 import cbor
    from fido2.cose import CoseKey

    members = cbor.decode(key)
    if not isinstance(members, Mapping):
        raise TypeError("not a key")
    try:
        CoseKey.parse(members).verify(message, signature)
    except InvalidSignature:
        return False
    return True


def _check_numbers(algorithm: int, numbers: list[bytes]) -> None:
    """Check what cryptography does not: sizes, and the points of Ed25519."""
    if len(numbers) != (1 if algorithm == ED25519 else 2):
        raise ValueError("not the numbers of a key")
    if algorithm == RS256:
        usable = int.from_bytes(numbers[0]).bit_length() in RSA_BITS and len(numbers[1]) <= 8
    else:
        usable = all(len(number) == 32 for number in numbers)
    if not usable or (algorithm == ED25519 and not _is_usable_point(numbers[0])):
        raise ValueError("not a usable key")


def _is_usable_point(point: bytes) -> bool:
    """Return whether this y is that of a point of Ed25519's curve (RFC 8032, section 5.1.3) outside its small groups.

    x² = (y² - 1) / (dy² + 1) must be a square, which it is if the product is one. A point of order 1, 2, 4 or 8 would
    accept forged signatures. Of order 1 and 2, x is 0, which this does not count as a square.
    """
    y = int.from_bytes(point, "little") & (2**255 - 1)
    square = (y * y - 1) * (_D * y * y + 1)
    has_order_4_or_8 = y * (_D * y**4 + 2 * y * y - 1) % _FIELD == 0
    return y < _FIELD and not has_order_4_or_8 and pow(square, (_FIELD - 1) // 2, _FIELD) == 1
