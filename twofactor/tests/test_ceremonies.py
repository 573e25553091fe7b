"""Signed challenges: what they are bound to, and for how long they are good."""

from dataclasses import replace

import pytest
from django.core import signing

from twofactor import ceremonies, limits
from twofactor.ceremonies import REGISTER, SECOND_FACTOR, Scope
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW

SCOPE = Scope(SECOND_FACTOR, "a" * 32, 1, "v" * 16)


def test_a_token_brings_back_its_challenge_and_user_handle():
    ceremony, token = ceremonies.begin(SCOPE, user_handle=b"h" * 64)
    assert len(ceremony.challenge) == 32
    assert ceremonies.read(token, SCOPE) == ceremony
    assert ceremonies.read(token, SCOPE).user_handle == b"h" * 64
    assert ceremonies.begin(SCOPE)[0] != ceremonies.begin(SCOPE)[0]
    assert ceremonies.begin(SCOPE)[0].user_handle == b""


@pytest.mark.parametrize("data, text", [
    (b"", ""), (b"\xff", "_w"), (b"\xff\xfe", "__4"), (b"\xff\xfe\xfd", "__79"), (b"\x65\x35\xd7", "ZTXX"),
    (bytes(7), "AAAAAAAAAA"),
])  # fmt: skip
def test_base64url_has_no_padding(data, text):
    assert ceremonies.encode(data) == text
    assert ceremonies.decode(text) == data


@pytest.mark.parametrize("other", [{"purpose": REGISTER}, {"browser": "b" * 32}, {"user": 2}, {"version": "w" * 16}])
def test_a_token_is_good_in_its_scope_only(other):
    token = ceremonies.begin(SCOPE)[1]
    with pytest.raises(Refused) as refusal:
        ceremonies.read(token, replace(SCOPE, **other))
    assert (refusal.value.code, refusal.value.why) == ("wrong", "ceremony")


@pytest.mark.parametrize("seconds, why", [(300, ""), (301, "expired")])
def test_a_token_expires_after_five_minutes(monkeypatch, seconds, why):
    monkeypatch.setattr("django.core.signing.time.time", lambda: NOW)
    token = ceremonies.begin(SCOPE)[1]
    monkeypatch.setattr("django.core.signing.time.time", lambda: NOW + seconds)
    if why:
        with pytest.raises(Refused) as refusal:
            ceremonies.read(token, SCOPE)
        assert refusal.value.why == why
    else:
        assert ceremonies.read(token, SCOPE)


@pytest.mark.parametrize("token", [
    "", "x", "a:b:c", "\0", "\ud800", "é", "x" * 100_000, pytest.param(signing.dumps(["x"]), id="another-salt"),
])  # fmt: skip
def test_a_forged_token_is_refused(token):
    with pytest.raises(Refused, match="wrong"):
        ceremonies.read(token, SCOPE)


@pytest.mark.database
def test_a_challenge_is_used_once(db):
    assert [limits.use_challenge(challenge) for challenge in (b"a", b"a", b"b")] == [True, False, True]
