"""The canonical form of typed codes: which characters are mapped, removed or kept."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofactor import backup_codes, totp
from twofactor.canonical import TYPED_LENGTH, canonical

# The planes 4 to 13, 15 and 16 have no assigned characters.
EVERY_CHARACTER = "".join(map(chr, [*range(0x40000), *range(0xE0000, 0xF0000)]))


@pytest.mark.parametrize("typed", [
    "１２３４５６", "١٢٣٤٥٦", "𝟏𝟐𝟑𝟒𝟓𝟔", "1２٣۴५𝟔", "123\r\n456", "123\u00a0456", "123\u2011456", "123\u2014456",
    "\u200b123456", "\ufeff123456", "\u2066123456\u2069", "123\u00ad456",
])  # fmt: skip
def test_a_code_is_the_same_in_every_spelling(typed):
    assert canonical(typed) == totp.normalize(typed) == "123456"
    assert backup_codes.normalize(f"{typed}-7890-abcd-ef") == "1234567890ABCDEF"
    assert backup_codes.normalize_imported(f"{typed}-78") == "12345678"


def test_every_decimal_digit_of_unicode_is_mapped_to_ascii():
    digits = re.findall(r"\d", EVERY_CHARACTER)
    assert len(digits) > 600
    assert [canonical(c) for c in digits] == [str(unicodedata.decimal(c)) for c in digits]


def test_only_white_space_dashes_and_format_characters_are_removed_and_others_not_changed():
    others = re.sub(r"\d", "", EVERY_CHARACTER)
    kept = "".join(c for c in others if not c.isspace() and unicodedata.category(c) not in ("Pd", "Cf"))
    parts = (others[start : start + TYPED_LENGTH] for start in range(0, len(others), TYPED_LENGTH))
    assert "".join(map(canonical, parts)) == kept


def test_input_that_is_too_long_is_empty():
    assert canonical("1" * TYPED_LENGTH) == "1" * TYPED_LENGTH
    assert canonical("1" * (TYPED_LENGTH + 1)) == canonical(" " * 3_000_000 + "1") == ""


@given(st.text())
def test_canonical_is_idempotent(typed):
    assert canonical(canonical(typed)) == canonical(typed)
