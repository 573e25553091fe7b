"""The rules of WebAuthn Level 3 for registrations and assertions, with a key in software and a second opinion."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from twofactor import cose, webauthn
from twofactor.tests.softkey import BE, BS, UP, UV, SoftKey, encode
from twofactor.tests.webauthn_vectors import VECTORS, digest_of

RP_ID = "example.com"
ORIGIN = "https://example.com"
CHALLENGE = bytes(range(32))
HANDLE = bytes(range(64))
EXPECTED = webauthn.Expected(challenge=CHALLENGE, rp_id=RP_ID, origins=[ORIGIN])
VERIFIED = replace(EXPECTED, require_verification=True)
OPTIONS = {"challenge": encode(CHALLENGE), "rp": {"id": RP_ID}, "rpId": RP_ID, "user": {"id": encode(HANDLE)}}
NOTED = {"packed.ES384": "algorithm", "packed.ES512": "algorithm", "packed.Ed448": "algorithm",
         "none.ES256.crossOrigin": "frame", "none.ES256.topOrigin": "frame"}  # fmt: skip
KEYS = {algorithm: SoftKey(algorithm) for algorithm in cose.ALGORITHMS}
MANY = {"crossOrigin": False, "futureMember": {"other_keys_can_be_added_here": "do not compare clientDataJSON"}}


@pytest.fixture(params=KEYS, ids=["Ed25519", "ES256", "RS256"])
def key(request):
    """A synced passkey that verifies its user, with each algorithm that is offered."""
    return KEYS[request.param]


def register(key, expected=EXPECTED, **changes):
    answer = key.create(OPTIONS, origin=changes.pop("origin", ORIGIN), **changes)
    return webauthn.verify_registration(json.dumps(answer), expected)


def assert_(key, expected=EXPECTED, *, stored=None, **changes):
    answer = key.get(OPTIONS, origin=changes.pop("origin", ORIGIN), **changes)
    return verify(json.dumps(answer), key, expected, **(stored or {}))


def verify(text, key, expected=EXPECTED, **stored):
    stored = {"public_key": key.public_key, "user_handle": HANDLE, "backup_eligible": bool(key.flags & BE)} | stored
    return webauthn.verify_assertion(text, expected, **stored)


def refusal(function, *arguments, **changes):
    with pytest.raises(webauthn.Refused) as refused:
        function(*arguments, **changes)
    return refused.value.why


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_of_section_16_are_verified_or_refused_by_name(vector):
    registration, authentication = vector.ceremonies()
    assert digest_of(registration, authentication) == vector.digest
    expected = webauthn.Expected(challenge=registration.challenge, rp_id="example.org", origins=["https://example.org"])
    if vector.name in NOTED:
        assert refusal(webauthn.verify_registration, registration.text, expected) == NOTED[vector.name]
        return
    found = webauthn.verify_registration(registration.text, expected)
    expected = replace(expected, challenge=authentication.challenge)
    stored = {"public_key": found.public_key, "user_handle": b"", "backup_eligible": found.backup_eligible}
    assert webauthn.verify_assertion(authentication.text, expected, **stored).sign_count == 0


def test_a_registration_says_what_the_key_says(key):
    key.aaguid = UUID("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4").bytes
    found = register(key, VERIFIED)
    assert found == webauthn.Registration(
        credential_id=key.credential_id,
        public_key=found.public_key,
        aaguid=UUID("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"),
        sign_count=0,
        user_verified=True,
        backup_eligible=True,
        backup_state=True,
        discoverable=True,
        transports=("internal", "hybrid"),
    )
    assert assert_(key, VERIFIED, stored={"public_key": found.public_key}) == webauthn.Assertion(0, True, True)


def test_a_key_without_pin_and_backup_is_accepted_where_no_verification_is_required():
    key = SoftKey(flags=0, sign_count=6, step=1)
    found = register(key)
    assert (found.sign_count, found.user_verified, found.backup_eligible, found.backup_state) == (
        7,
        False,
        False,
        False,
    )
    assert assert_(key) == webauthn.Assertion(8, False, False)


def test_the_credential_id_of_an_answer_is_read(key):
    assert webauthn.credential_id_of(json.dumps(key.get(OPTIONS, origin=ORIGIN))) == key.credential_id


@pytest.mark.parametrize("handle", [b"", HANDLE])
def test_a_user_handle_may_be_missing(key, handle):
    key.user_handle = b""
    assert assert_(key, handle=handle)


def test_unknown_members_and_a_byte_order_mark_in_the_client_data_are_ignored(key):
    assert register(key, client=MANY)
    assert assert_(key, client=MANY)


WRONG = {
    "subdomain": ({"origin": "https://login.example.com"}, "origin"),
    "port": ({"origin": "https://example.com:8443"}, "origin"),
    "http": ({"origin": "http://example.com"}, "origin"),
    "slash": ({"origin": "https://example.com/"}, "origin"),
    "number": ({"origin": 5}, "origin"),
    "list": ({"origin": [ORIGIN]}, "origin"),
    "challenge": ({"client": {"challenge": encode(bytes(32))}}, "challenge"),
    "no challenge": ({"client": {"challenge": ""}}, "challenge"),
    "other challenge": ({"client": {"challenge": None}}, "malformed"),
    "type": ({"client": {"type": "webauthn.other"}}, "type"),
    "crossOrigin": ({"client": {"crossOrigin": True}}, "frame"),
    "crossOrigin text": ({"client": {"crossOrigin": "false"}}, "frame"),
    "topOrigin": ({"client": {"topOrigin": ORIGIN}}, "frame"),
    "rp": ({"rp_id": "login.example.com"}, "rp_id"),
    "nobody": ({"flags": UV | BE | BS}, "presence"),
    "backup": ({"flags": UP | UV | BS}, "backup_state"),
    "kind": ({"type": "password"}, "type"),
    "id": ({"rawId": encode(bytes(32))}, "credential_id"),
    "response": ({"response": None}, "malformed"),
}


@pytest.mark.parametrize("changes, why", WRONG.values(), ids=WRONG)
def test_an_answer_to_another_question_is_refused(key, changes, why):
    assert refusal(register, key, **changes) == why
    assert refusal(assert_, key, **changes) == why


def test_an_answer_to_the_other_ceremony_is_refused(key):
    assert refusal(register, key, client={"type": "webauthn.get"}) == "type"
    assert refusal(assert_, key, client={"type": "webauthn.create"}) == "type"


def test_a_user_who_was_not_verified_is_refused_where_this_is_required(key):
    assert refusal(register, key, VERIFIED, flags=UP | BE | BS) == "verification"
    assert refusal(assert_, key, VERIFIED, flags=UP | BE | BS) == "verification"


@pytest.mark.parametrize("stored", [True, False])
def test_a_changed_backup_eligibility_is_refused(key, stored):
    flags = UP | UV | (0 if stored else BE)
    assert refusal(assert_, key, flags=flags, stored={"backup_eligible": stored}) == "backup_eligibility"


def test_the_assertion_of_another_account_or_key_is_refused(key):
    assert refusal(assert_, key, handle=bytes(64)) == "user_handle"
    other = SoftKey(key.algorithm)
    assert refusal(assert_, key, stored={"public_key": other.public_key}) == "signature"
    assert refusal(assert_, key, signature=b"") == "signature"
    assert refusal(assert_, key, signature=bytes(64)) == "signature"


def test_a_registration_without_a_key_is_refused(key):
    assert refusal(register, key, attested=False) == "no_key"


@pytest.mark.parametrize("length, accepted", [(0, False), (15, False), (16, True), (1023, True), (1024, False)])
def test_a_credential_id_has_16_to_1023_bytes(length, accepted):
    key = SoftKey()
    key.credential_id = bytes(length)
    if accepted:
        assert register(key).credential_id == bytes(length)
    else:
        assert refusal(register, key) == "credential_id"


def test_the_id_beside_the_key_must_be_its_own(key):
    other = encode(bytes(32))
    assert refusal(register, key, id=other, rawId=other) == "credential_id"
