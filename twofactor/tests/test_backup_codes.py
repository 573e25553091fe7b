"""Backup codes: format, normalization and digests."""

import math
import re

import pytest
from argon2.low_level import Type, hash_secret_raw
from hypothesis import given
from hypothesis import strategies as st

from twofactor import codes

SALT = b"sixteen bytes ok"
LOOK_ALIKES = {"0": "0Oo", "1": "1IiLl"}


def test_ten_different_codes_are_generated_and_displayed_in_four_groups_of_four():
    generated = codes.generate()
    assert len(set(generated)) == 10
    assert all(re.fullmatch(rf"[{codes.ALPHABET}]{{16}}", code) for code in generated)
    assert codes.display("0123456789ABCDEF") == "0123-4567-89AB-CDEF"


def test_a_code_has_80_bits_and_nist_requires_64():
    assert codes.ALPHABET == "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32
    assert codes.LENGTH * math.log2(len(codes.ALPHABET)) == 80
    generated = [code for _ in range(100) for code in codes.generate()]
    assert all({code[place] for code in generated} == set(codes.ALPHABET) for place in range(16))


SPELLINGS = [(typed, meant) for meant in codes.ALPHABET for typed in LOOK_ALIKES.get(meant, meant + meant.lower())]


@pytest.mark.parametrize("gap", ["", " ", "-", "  ", "\t", "\r\n"])
def test_a_code_is_accepted_in_any_case_with_look_alikes_and_gaps(gap):
    assert {typed for typed, meant in SPELLINGS if codes.normalize((gap + typed) * 16) != meant * 16} == set()


@pytest.mark.parametrize("typed", [
    "", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEFG", "0123-4567-89AB-CDEU", "0123-4567-89AB-CDE!",
    "0123_4567_89AB_CDEF", "0123-4567-89AB-CDEF\0", "0123-4567-89AB-CDEＦ",
    "\ud800" * 16, "\u017f" * 16, "\u0131" * 16, "\u212a" * 16, "0" * 3_000_000,
])  # fmt: skip
def test_a_malformed_code_is_none(typed):
    assert codes.normalize(typed) is None


@given(st.text())
def test_normalize_returns_a_code_or_none_for_any_text(typed):
    code = codes.normalize(typed)
    assert code is None or re.fullmatch(rf"[{codes.ALPHABET}]{{16}}", code)


def test_a_digest_is_argon2id_with_the_given_salt():
    """Any other parameter would make every stored backup code invalid."""
    expected = hash_secret_raw(b"0123456789ABCDEF", SALT, 1, 1024, 1, 32, Type.ID)
    assert expected.hex() == "f37811cf9290a6866c6a104abd4d451b94d60aa4ca21799f5800565e972c372f"
    assert codes.digest("0123456789ABCDEF", salt=SALT) == expected
    assert codes.digest("0123456789ABCDEF", salt=SALT[::-1]) != expected


def test_a_salt_has_128_random_bits():
    assert len(codes.new_salt()) * 8 == 128
    assert len({codes.new_salt() for _ in range(100)}) == 100
