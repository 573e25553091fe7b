"""The canonical form of typed codes: which characters are mapped, removed or kept."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofactor import codes, totp
from twofactor.canonical import TYPED_LENGTH, canonical

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]


@pytest.mark.parametrize("typed", [
    "１２３４５６", "١٢٣٤٥٦", "𝟏𝟐𝟑𝟒𝟓𝟔", "1２٣۴५𝟔", "123\r\n456", "123\u00a0456", "123\u2011456", "123\u2014456",
    "\u200b123456", "\ufeff123456", "\u2066123456\u2069", "123\u00ad456",
])  # fmt: skip
def test_a_code_is_the_same_in_every_spelling(typed):
    assert canonical(typed) == totp.normalize(typed) == "123456"
    assert codes.normalize(f"{typed}-7890-abcd-ef") == "1234567890ABCDEF"
    assert codes.normalize_imported(f"{typed}-78") == "12345678"


def test_every_decimal_digit_of_unicode_is_mapped_to_ascii():
    digits = [c for c in EVERY_CHARACTER if unicodedata.category(c) == "Nd"]
    assert len(digits) > 600
    assert [canonical(c) for c in digits] == [str(unicodedata.decimal(c)) for c in digits]


def test_only_white_space_dashes_and_format_characters_are_removed():
    removed = [c for c in EVERY_CHARACTER if canonical(c) == ""]
    assert removed == [c for c in EVERY_CHARACTER if c.isspace() or unicodedata.category(c) in ("Pd", "Cf")]


def test_other_characters_are_not_changed():
    for character in "²₂②Ⅱ二½Ａé\0\ud800_.−":
        assert canonical(character) == character


def test_input_that_is_too_long_is_empty():
    assert canonical("1" * TYPED_LENGTH) == "1" * TYPED_LENGTH
    assert canonical("1" * (TYPED_LENGTH + 1)) == canonical(" " * 3_000_000 + "1") == ""


@given(st.text())
def test_canonical_is_idempotent(typed):
    assert canonical(canonical(typed)) == canonical(typed)
