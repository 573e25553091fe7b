"""Sealed secrets: who can open them, and the errors of a wrong key."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from twofactor import crypto
from twofactor.crypto import Keyring, Unsealable
from twofactor.tests.constants import SECRET

CHANGED = "^sealed with another key of the same ID or for another user, or changed$"
OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()
KEYRING = Keyring.parse(f"old:{OLD}")
SEALED = KEYRING.seal(SECRET, owner="1")
RAW = base64.b64decode(SEALED.split(".")[2])


def resealed(raw: bytes, *, kid: str = "old", version: str = "v1") -> str:
    return f"{version}.{kid}.{base64.b64encode(raw).decode()}"


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", max_size=200), st.integers(1, 2**63))
def test_a_sealed_secret_opens_for_its_owner(secret, owner):
    assert KEYRING.unseal(KEYRING.seal(secret, owner=str(owner)), owner=str(owner)) == secret


def test_a_secret_is_sealed_with_aes_256_gcm_and_associated_data():
    assert re.fullmatch(r"v1\.old\.[A-Za-z0-9+/=]+", SEALED)
    assert crypto.kid_of(SEALED) == "old"
    assert len(RAW) == 12 + len(SECRET) + 16  # nonce, text, tag
    assert AESGCM(b"o" * 32).decrypt(RAW[:12], RAW[12:], b"twofactor:v1:old:1") == SECRET.encode()


def test_no_nonce_is_used_twice():
    assert len({base64.b64decode(KEYRING.seal(SECRET, owner="1")[7:])[:12] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("owner", ["2", "11", "", "setup:1"])
def test_a_secret_copied_to_another_owner_does_not_open(owner):
    with pytest.raises(Unsealable):
        KEYRING.unseal(SEALED, owner=owner)


def test_a_secret_with_a_changed_byte_does_not_open():
    for index, byte in enumerate(RAW):
        with pytest.raises(Unsealable):
            KEYRING.unseal(resealed(RAW[:index] + bytes([byte ^ 1]) + RAW[index + 1 :]), owner="1")


def test_a_truncated_secret_does_not_open():
    for length in range(len(RAW)):
        with pytest.raises(Unsealable):
            KEYRING.unseal(resealed(RAW[:length]), owner="1")


@pytest.mark.parametrize("text", [
    "", "v1.old", "v1.old.!!!!", "v1.old.é", "v1.old.AAAA.AAAA", SECRET,
    pytest.param(SEALED.replace("v1.old.", "v1.old.!"), id="a character that is not base64"),
])  # fmt: skip
def test_a_malformed_secret_does_not_open(text):
    with pytest.raises(Unsealable):
        KEYRING.unseal(text, owner="1")


@given(st.text())
def test_any_other_text_raises_unsealable(text):
    with pytest.raises(Unsealable):
        KEYRING.unseal(text, owner="1")


@pytest.mark.parametrize("keys, sealed, problem", [
    (f"old:{NEW}", SEALED, CHANGED),  # a different key under the same ID
    (f"old:{OLD},new:{OLD}", resealed(RAW, kid="new"), None),  # the key ID is part of the associated data
    (f"new:{NEW}", SEALED, "no key old"),
    (f"old:{OLD}", resealed(RAW, version="v2"), "version v2"),
], ids=["other key", "other key ID", "unknown key ID", "unknown version"])  # fmt: skip
def test_a_secret_of_another_key_or_version_does_not_open(keys, sealed, problem):
    with pytest.raises(Unsealable, match=problem):
        Keyring.parse(keys).unseal(sealed, owner="1")


def test_the_first_key_seals_and_all_keys_open():
    both = Keyring.parse(f" new:{NEW} ,\n old:{OLD} , ")
    assert both.sealing_kid == "new"
    assert both.unseal(SEALED, owner="1") == SECRET
    resealed_secret = both.seal(SECRET, owner="1")
    assert crypto.kid_of(resealed_secret) == "new"
    assert Keyring.parse(f"new:{NEW}").unseal(resealed_secret, owner="1") == SECRET


@pytest.mark.parametrize("text, problem", [
    ("", "^there is no key$"), (" , ,", "there is no key"), (OLD, "key 1 is not of the form"),
    (f":{OLD}", "key 1 is not of the form"), (f"old:{OLD},{NEW}", "key 2 is not of the form"),
    (f"o.ld:{OLD}", "key 1 is not of the form"), (f"öld:{OLD}", "key 1 is not of the form"),
    (f"old:1:{OLD}", "old is not base64"), (f"old:{OLD},OLD:{NEW}", "OLD is used twice"),
    (f"old:{OLD[:-1]}", "old is not base64"), (f"old:{OLD[:-5]}!!!!=", "old is not base64"),
    (f"old:{OLD[:-4]}", "old has 30 bytes instead of 32"), ("old:", "old has 0 bytes"),
])  # fmt: skip
def test_the_error_of_a_malformed_keyring_does_not_contain_the_key(text, problem):
    with pytest.raises(ValueError, match=problem) as raised:
        Keyring.parse(text)
    error = f"{raised.value!r} {raised.value.__cause__!r}"
    assert OLD[:8] not in error
    assert NEW[:8] not in error
