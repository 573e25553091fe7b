"""The canonical form of typed codes: which characters are mapped, removed or kept."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofactor import codes, totp
from twofactor.canonical import TYPED_LENGTH, canonical

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]
SPELLINGS = {
    "full width": "１２３４５６",
    "Arabic": "١٢٣٤٥٦",
    "Persian": "۱۲۳۴۵۶",
    "Devanagari": "१२३४५६",
    "mathematical bold": "𝟏𝟐𝟑𝟒𝟓𝟔",
    "mixed": "1２٣۴५𝟔",
    "tab": "123\t456",
    "line break": "123\r\n456",
    "no-break space": "123\u00a0456",
    "thin space": "123\u2009456",
    "narrow no-break space": "123\u202f456",
    "ideographic space": "１２３\u3000４５６",
    "next line": "123\u0085456",
    "hyphen": "123-456",
    "non-breaking hyphen": "123\u2011456",
    "en dash": "123\u2013456",
    "em dash": "123\u2014456",
    "full-width hyphen": "123\uff0d456",
    "zero-width space": "\u200b123456",
    "byte order mark": "\ufeff123456",
    "right-to-left mark": "\u200f123456",
    "isolate": "\u2066123456\u2069",
    "soft hyphen": "123\u00ad456",
}
every_spelling = pytest.mark.parametrize("typed", SPELLINGS.values(), ids=SPELLINGS)


@every_spelling
def test_a_code_is_the_same_in_every_spelling(typed):
    assert canonical(typed) == "123456"
    assert totp.normalize(typed) == "123456"


@every_spelling
def test_a_backup_code_is_the_same_in_every_spelling(typed):
    assert codes.normalize(f"{typed}-7890-abcd-ef") == "1234567890ABCDEF"
    assert codes.normalize_imported(f"{typed}-78") == "12345678"


def test_every_decimal_digit_of_unicode_is_mapped_to_ascii():
    digits = [c for c in EVERY_CHARACTER if unicodedata.category(c) == "Nd"]
    assert len(digits) > 600
    assert [canonical(c) for c in digits] == [str(unicodedata.decimal(c)) for c in digits]


def test_only_white_space_dashes_and_format_characters_are_removed():
    removed = [c for c in EVERY_CHARACTER if canonical(c) == ""]
    assert removed == [c for c in EVERY_CHARACTER if c.isspace() or unicodedata.category(c) in ("Pd", "Cf")]


@pytest.mark.parametrize("character", ["²", "₂", "②", "Ⅱ", "二", "½", "Ａ", "é", "\0", "\ud800", "_", ".", "−"])
def test_other_characters_are_not_changed(character):
    assert canonical(character) == character


def test_input_that_is_too_long_is_empty():
    assert canonical("1" * TYPED_LENGTH) == "1" * TYPED_LENGTH
    assert canonical("1" * (TYPED_LENGTH + 1)) == canonical(" " * 3_000_000 + "1") == ""


@given(st.text())
def test_canonical_is_idempotent(typed):
    assert canonical(canonical(typed)) == canonical(typed)
