"""Backup codes: format, normalization and digests."""

import math
import re

import pytest
from argon2.low_level import Type, hash_secret_raw
from hypothesis import given
from hypothesis import strategies as st

from twofactor import backup_codes

SALT = b"sixteen bytes ok"
LOOK_ALIKES = {"0": "0Oo", "1": "1IiLl"}


def test_ten_different_codes_are_generated_and_displayed_in_four_groups_of_four():
    generated = backup_codes.generate()
    assert len(set(generated)) == 10
    assert all(re.fullmatch(rf"[{backup_codes.ALPHABET}]{{16}}", code) for code in generated)
    assert backup_codes.display("0123456789ABCDEF") == "0123-4567-89AB-CDEF"


def test_a_code_has_80_bits_and_nist_requires_64():
    assert backup_codes.ALPHABET == "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32
    assert backup_codes.LENGTH * math.log2(len(backup_codes.ALPHABET)) == 80
    generated = [code for _ in range(100) for code in backup_codes.generate()]
    assert all({code[place] for code in generated} == set(backup_codes.ALPHABET) for place in range(16))


SPELLINGS = [
    (typed, meant) for meant in backup_codes.ALPHABET for typed in LOOK_ALIKES.get(meant, meant + meant.lower())
]


@pytest.mark.parametrize("gap", ["", " ", "-", "  ", "\t", "\r\n"])
def test_a_code_is_accepted_in_any_case_with_look_alikes_and_gaps(gap):
    assert {typed for typed, meant in SPELLINGS if backup_codes.normalize((gap + typed) * 16) != meant * 16} == set()


@pytest.mark.parametrize("typed", [
    "", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEFG", "0123-4567-89AB-CDEU", "0123-4567-89AB-CDE!",
    "0123_4567_89AB_CDEF", "0123-4567-89AB-CDEF\0", "0123-4567-89AB-CDEＦ",
    "\ud800" * 16, "\u017f" * 16, "\u0131" * 16, "\u212a" * 16, "0" * 3_000_000,
])  # fmt: skip
def test_a_malformed_code_is_none(typed):
    assert backup_codes.normalize(typed) is None


@given(st.text())
def test_normalize_returns_a_code_or_none_for_any_text(typed):
    code = backup_codes.normalize(typed)
    assert code is None or re.fullmatch(rf"[{backup_codes.ALPHABET}]{{16}}", code)


def test_a_digest_is_argon2id_with_the_given_salt_which_it_contains():
    """Any other parameter would make every stored backup code invalid."""
    raw = hash_secret_raw(b"0123456789ABCDEF", SALT, 1, 1024, 1, 32, Type.ID).hex()
    assert raw == "f37811cf9290a6866c6a104abd4d451b94d60aa4ca21799f5800565e972c372f"
    digest = backup_codes.digest("0123456789ABCDEF", salt=SALT)
    assert digest == f"argon2id$7369787465656e206279746573206f6b${raw}"
    assert backup_codes.salt_of(digest) == SALT
    assert raw not in backup_codes.digest("0123456789ABCDEF", salt=SALT[::-1])


def test_a_salt_has_128_random_bits():
    assert len(backup_codes.new_salt()) * 8 == 128
    assert len({backup_codes.new_salt() for _ in range(100)}) == 100
