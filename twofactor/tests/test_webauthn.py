"""The rules of WebAuthn Level 3 for registrations and assertions, with a key in software and a second opinion."""

import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import webauthn as py_webauthn
from hypothesis import given
from hypothesis import strategies as st

from twofactor import cose, webauthn
from twofactor.tests import softkey
from twofactor.tests.softkey import BE, BS, UP, UV, SoftKey, cbor, decode, encode
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
    assert str(refused.value) == refused.value.why
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
    assert assert_(key, VERIFIED, stored={"public_key": found.public_key}) == webauthn.Assertion(0, True, True, True)


def test_a_key_without_pin_and_backup_is_accepted_where_no_verification_is_required():
    key = SoftKey(flags=0, sign_count=6, step=1)
    found = register(key)
    assert (found.sign_count, found.user_verified, found.backup_eligible, found.backup_state) == (
        7,
        False,
        False,
        False,
    )
    assert assert_(key) == webauthn.Assertion(8, False, False, False)


def test_the_credential_id_of_an_answer_is_read(key):
    assert webauthn.credential_id_of(json.dumps(key.get(OPTIONS, origin=ORIGIN))) == key.credential_id


@pytest.mark.parametrize("handle", [b"", HANDLE])
def test_a_user_handle_may_be_missing(key, handle):
    key.user_handle = b""
    assert assert_(key, handle=handle)


def test_unknown_members_of_the_client_data_are_ignored(key):
    assert register(key, client=MANY)
    assert assert_(key, client=MANY)


def test_a_byte_order_mark_before_the_client_data_is_ignored(key, monkeypatch):
    client_data = softkey.client_data
    monkeypatch.setattr(softkey, "client_data", lambda *said: b"\xef\xbb\xbf" + client_data(*said))
    assert register(key)
    assert assert_(key)


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


def test_a_backup_eligibility_that_is_not_known_is_learned(key):
    for flags, eligible in ((UP | UV, False), (UP | UV | BE, True)):
        assert assert_(key, flags=flags, stored={"backup_eligible": None}).backup_eligible is eligible


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


@pytest.mark.parametrize("algorithm", [-65535, -37, -35, -9, -19, 5, "ES256"])
def test_an_algorithm_that_was_not_offered_is_refused(algorithm):
    key = KEYS[-257 if algorithm in {-65535, -37} else -7]
    assert refusal(register, key, cose=key.cose | {3: algorithm}) == "algorithm"


def test_a_key_that_cannot_be_used_is_refused(key):
    for label in set(key.cose) - {3}:
        assert refusal(register, key, cose=key.cose | {label: b"\1"}) == "public_key"


def test_what_the_browser_says_about_a_key_is_bounded(key):
    assert register(key, clientExtensionResults=None).discoverable is None
    assert register(key, clientExtensionResults={"credProps": {"rk": "yes"}}).discoverable is None
    response = key.create(OPTIONS, origin=ORIGIN)["response"]
    said = [None, 5, "usb", "x" * 17, "NFC", "a b", "new-one", *["internal"] * 99]
    assert register(key, response=response | {"transports": said}).transports == ("usb", "new-one", *["internal"] * 6)
    for none in (None, "usb", {}, []):
        assert register(key, response=response | {"transports": none}).transports == ()


BROKEN = {
    "nothing": "", "null": "null", "list": "[]", "text": '"text"', "number": "1e999", "object": "{}", "half": "{",
    "NUL": "\0", "lone surrogate": '"\ud800"', "escaped surrogate": '{"type": "public-key", "id": "\\ud800"}',
    "deep list": "[" * 8_000, "deep object": '{"a":' * 2_500, "big number": "9" * 9_000,
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_text_that_is_no_credential_is_malformed(text):
    assert refusal(webauthn.verify_registration, text, EXPECTED) == "malformed"
    assert refusal(verify, text, KEYS[-7]) == "malformed"
    assert refusal(webauthn.credential_id_of, text) == "malformed"


def test_a_long_answer_is_refused_before_it_is_parsed():
    """fido2's parser copies the rest of its input for each value: a list of a million values takes minutes."""
    text = json.dumps(KEYS[-7].create(OPTIONS, origin=ORIGIN, note=""))
    long = text.replace('"note": ""', f'"note": "{"x" * (webauthn.MAX_LENGTH - len(text))}"')
    assert webauthn.verify_registration(long, EXPECTED)
    assert refusal(webauthn.verify_registration, long + " ", EXPECTED) == "too_long"
    assert refusal(webauthn.credential_id_of, long + " ") == "too_long"
    assert refusal(verify, " " * 65_536, KEYS[-7]) == "too_long"


CBOR = {
    "empty": b"", "endless list": b"\x9b" + b"\xff" * 8, "indefinite length": b"\x9f\x01", "deep": b"\x81" * 9_000,
    "long text": b"\x7b" + b"\xff" * 8, "a break": b"\xff", "no map": cbor([1]), "no data": cbor({"fmt": "none"}),
    "short data": cbor({"fmt": "none", "attStmt": {}, "authData": b"short"}), "unhashable": b"\xa1\xa0\xa0",
    "data as text": cbor({"fmt": "none", "attStmt": {}, "authData": "text"}), "many": b"\x99\x27\x10" + b"\0" * 9_000,
}  # fmt: skip


@pytest.mark.parametrize("data", CBOR.values(), ids=CBOR)
def test_broken_cbor_is_malformed(data):
    response = KEYS[-7].create(OPTIONS, origin=ORIGIN)["response"] | {"attestationObject": encode(data)}
    assert refusal(register, KEYS[-7], response=response) == "malformed"


def test_a_number_instead_of_authenticator_data_allocates_no_memory():
    """`bytes(n)` is n bytes of zeros, and so are fido2's classes."""
    data = cbor({"fmt": "none", "attStmt": {}, "authData": 100_000_000})
    response = KEYS[-7].create(OPTIONS, origin=ORIGIN)["response"] | {"attestationObject": encode(data)}
    tracemalloc.start()
    try:
        assert refusal(register, KEYS[-7], response=response) == "malformed"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["*", "a=", "YQ==", "YQ=", "a+b/", "a\n", "Ā", "\0", "a", 5, None, [], {}])
@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature"])
def test_only_base64url_without_padding_is_decoded(name, text):
    response = KEYS[-7].get(OPTIONS, origin=ORIGIN)["response"] | {name: text}
    assert refusal(assert_, KEYS[-7], response=response) == "malformed"


ANSWERS = {
    algorithm: (key.create(OPTIONS, origin=ORIGIN), key.get(OPTIONS, origin=ORIGIN)) for algorithm, key in KEYS.items()
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("public-key"),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=9,
)


def judge(text, algorithm=-7):
    """Return the names of the refusals, None for what was accepted. Any exception but Refused fails the test."""
    why = []
    for function in (
        lambda: webauthn.verify_registration(text, EXPECTED),
        lambda: verify(text, KEYS[algorithm]),
        lambda: webauthn.credential_id_of(text),
    ):
        try:
            function()
            why.append(None)
        except webauthn.Refused as refused:
            why.append(refused.why)
    return why


@given(text=st.text() | JSON.map(json.dumps))
def test_random_input_is_refused_without_another_exception(text):
    assert None not in judge(text)


@given(
    algorithm=st.sampled_from(cose.ALGORITHMS),
    assertion=st.booleans(),
    path=st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON", "attestationObject", "authenticatorData",
                          "signature", "userHandle", "transports", "clientExtensionResults"]),
    value=JSON,
)  # fmt: skip
def test_an_answer_with_any_value_in_any_member_raises_nothing_but_refused(algorithm, assertion, path, value):
    answer = ANSWERS[algorithm][assertion]
    response = answer["response"]
    changed = answer | {path: value} if path in answer else answer | {"response": response | {path: value}}
    judge(json.dumps(changed), algorithm)


@given(
    algorithm=st.sampled_from(cose.ALGORITHMS),
    member=st.sampled_from(["clientDataJSON", "attestationObject", "authenticatorData", "signature"]),
    start=st.integers(0, 400),
    length=st.integers(0, 40),
    new=st.binary(max_size=40),
)
def test_mutated_bytes_raise_nothing_but_refused(algorithm, member, start, length, new):
    """No mutated assertion is accepted. Of a registration, only the key and its flags are used."""
    registration, assertion = ANSWERS[algorithm]
    answer = registration if member == "attestationObject" else assertion
    old = decode(answer["response"][member])
    mutated = old[:start] + new + old[start + length :]
    why = judge(json.dumps(answer | {"response": answer["response"] | {member: encode(mutated)}}), algorithm)
    if answer is assertion and mutated != old:
        assert why[1]


@pytest.mark.parametrize("flags", [UP, UP | UV, UP | BE, UP | UV | BE | BS])
def test_py_webauthn_agrees_about_right_answers(key, flags):
    """A second opinion, by an implementation that shares no code with fido2 and the app."""
    expected = {"expected_challenge": CHALLENGE, "expected_rp_id": RP_ID, "expected_origin": ORIGIN}
    created = key.create(OPTIONS, origin=ORIGIN, flags=flags)
    theirs = py_webauthn.verify_registration_response(
        credential=created, supported_pub_key_algs=list(cose.ALGORITHMS), require_user_verification=False, **expected
    )
    ours = webauthn.verify_registration(json.dumps(created), EXPECTED)
    assert (ours.credential_id, str(ours.aaguid)) == (theirs.credential_id, theirs.aaguid)
    assert (ours.user_verified, ours.backup_state) == (theirs.user_verified, theirs.credential_backed_up)
    assert ours.backup_eligible == (theirs.credential_device_type == "multi_device")
    got = key.get(OPTIONS, origin=ORIGIN, flags=flags)
    they_say = py_webauthn.verify_authentication_response(
        credential=got, credential_public_key=ours.public_key, credential_current_sign_count=0, **expected
    )
    we_say = verify(json.dumps(got), key, public_key=theirs.credential_public_key, backup_eligible=ours.backup_eligible)
    assert (we_say.user_verified, we_say.backup_state) == (they_say.user_verified, they_say.credential_backed_up)


def test_browsers_may_leave_out_cross_origin(monkeypatch):
    """Level 1 had no such member."""
    said = {"type": "webauthn.get", "challenge": OPTIONS["challenge"], "origin": ORIGIN}
    monkeypatch.setattr(softkey, "client_data", lambda *_: json.dumps(said).encode())
    assert assert_(KEYS[cose.ES256])


def test_importing_the_app_does_not_import_fido2():
    script = (
        "import django, sys; django.setup(); "
        "import twofactor.urls, twofactor.forms, twofactor.models, twofactor.webauthn, twofactor.cose; "
        "sys.exit('fido2' in sys.modules)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "twofactor.tests.settings"}
    root = Path(webauthn.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, env=environment, check=False).returncode == 0
