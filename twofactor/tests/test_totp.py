"""TOTP codes, checked against the RFCs' test vectors and independent implementations."""

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofactor import totp
from twofactor.tests import rfc6238
from twofactor.tests.constants import NOW

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
STEP = totp.time_step_at(NOW)


def test_codes_match_rfc_4226_appendix_d():
    codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
    assert [totp.code_at(RFC_SECRET, count) for count in range(10)] == codes.split()


@pytest.mark.parametrize("unix_time, eight_digits", [
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"),
    (1234567890, "89005924"), (2000000000, "69279037"), (20000000000, "65353130"),
])  # fmt: skip
def test_codes_match_rfc_6238_appendix_b(unix_time, eight_digits):
    assert totp.code_at(RFC_SECRET, totp.time_step_at(unix_time)) == eight_digits[-6:]


@given(key=st.binary(min_size=20, max_size=20), unix_time=st.integers(0, 2**40))
def test_codes_match_an_independent_implementation(key, unix_time):
    secret = base64.b32encode(key).decode()
    assert totp.code_at(secret, totp.time_step_at(unix_time)) == rfc6238.code_at(secret, unix_time)


@pytest.mark.parametrize("unix_time", [0, 29, 30, NOW, 20000000000])
def test_codes_match_oathtool(oathtool, unix_time):
    secret = totp.new_secret()
    assert totp.code_at(secret, totp.time_step_at(unix_time)) == oathtool(secret, unix_time)


def test_a_time_step_lasts_thirty_seconds():
    assert [totp.time_step_at(unix_time) for unix_time in (0, 29.999, 30, 59.5, 60)] == [0, 0, 1, 1, 2]


def test_a_new_secret_has_the_160_random_bits_of_rfc_4226():
    secrets = {totp.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b32decode(secret)) * 8 for secret in secrets} == {160}


@pytest.mark.parametrize("drift_window", [0, 1])
def test_a_code_matches_inside_the_drift_window_only(secret, drift_window):
    for steps_off in range(-3, 4):
        code = totp.code_at(secret, STEP + steps_off)
        found = totp.match_time_step(secret, code, around=STEP, drift_window=drift_window)
        assert found == (STEP + steps_off if abs(steps_off) <= drift_window else None)


def test_the_newest_of_two_time_steps_with_the_same_code_matches(secret):
    first = 473_597  # the first time step of this secret whose code equals the code of the next step
    code = totp.code_at(secret, first)
    assert code == totp.code_at(secret, first + 1)
    assert totp.match_time_step(secret, code, around=first, drift_window=1) == first + 1


def test_time_steps_before_1970_are_not_checked(secret):
    assert totp.match_time_step(secret, totp.code_at(secret, 0), around=0, drift_window=1) == 0
    assert totp.match_time_step(secret, totp.code_at(secret, 5), around=0, drift_window=1) is None
    assert totp.clock_offset(secret, totp.code_at(secret, 2), around=0, reach=600) == 60
    assert totp.clock_offset(secret, totp.code_at(secret, 0), around=2, reach=600) == -60
    assert totp.clock_offset(secret, totp.code_at(secret, 500), around=0, reach=600) is None


@pytest.mark.parametrize("steps_off", [-20, -2, -1, 1, 2, 20])
def test_the_clock_offset_is_given_in_seconds(secret, steps_off):
    code = totp.code_at(secret, STEP + steps_off)
    assert totp.clock_offset(secret, code, around=STEP, reach=600) == 30 * steps_off


@pytest.mark.parametrize("steps_off", [-21, 0, 21])
def test_there_is_no_clock_offset_beyond_the_reach_or_for_a_correct_clock(secret, steps_off):
    code = totp.code_at(secret, STEP + steps_off)
    assert totp.clock_offset(secret, code, around=STEP, reach=600) is None


@pytest.mark.parametrize("typed", [
    "", " ", "12345", "1234567", "12345a", "+12345", "1234.5", "0x1234", "1e1000", "123_456", "¹²³⁴⁵⁶", "一二三四五六",
    "123456\0", "\ud800" * 6, "123456" + " " * 59, "1" * 3_000_000,
])  # fmt: skip
def test_input_other_than_six_decimal_digits_is_malformed(typed):
    assert totp.normalize(typed) is None


@given(st.text())
def test_normalize_returns_six_ascii_digits_or_none_for_any_text(typed):
    digits = totp.normalize(typed)
    assert digits is None or (len(digits) == 6 and set(digits) <= set("0123456789"))


@given(st.text("0123456789", min_size=6, max_size=6), st.integers(0, 6), st.sampled_from([" ", "-", "  ", " - "]))
def test_a_code_may_be_split_at_any_position(digits, at, by):
    assert totp.normalize(digits[:at] + by + digits[at:]) == digits


LONG = ("Long " * 13)[:64]


@pytest.mark.parametrize("account, issuer, label, issuer_shown", [
    ("ada@example.com", "Twofactor", "Twofactor:ada@example.com", "Twofactor"),
    ("a b&c=d?e#f/g%h+i@example.com", "A B & C", "A B & C:a b&c=d?e#f/g%h+i@example.com", "A B & C"),
    ("a", "b?secret=x&issuer=y", "b?secret=x&issuer=y:a", "b?secret=x&issuer=y"),
    ("شركة@example.com", '..Acme, "Inc." <b>', '..Acme, "Inc." <b>:شركة@example.com', '..Acme, "Inc." <b>'),
    ("ada@example.com", "🔐 二要素", "🔐 二要素:ada@example.com", "🔐 二要素"),
    ("a:b@example.com", "Evil: Bank", "Evil Bank:ab@example.com", "Evil Bank"),
    (" a\r\nb ", "Two\nLines\u2028", "Two Lines:a b", "Two Lines"),
    ("x" * 242, "Long " * 500, LONG + ":" + "x" * 64, LONG),
])  # fmt: skip
def test_the_uri_has_secret_issuer_and_account_in_64_encoded_characters(secret, account, issuer, label, issuer_shown):
    uri = totp.provisioning_uri(secret, account=account, issuer=issuer)
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("otpauth", "totp", f"/{label}")
    assert parse_qs(parts.query, strict_parsing=True) == {"secret": [secret], "issuer": [issuer_shown]}
    assert uri.isascii()
    assert not set(' "<>#') & set(uri)
    assert uri.count("/") == 3


def test_the_key_is_shown_in_groups_of_four():
    assert totp.in_groups("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == "ABCD EFGH IJKL MNOP QRST UVWX YZ23 4567"
