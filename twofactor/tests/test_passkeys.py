"""Passkeys without their forms: what is stored and named, where they are offered, and the check of an assertion."""

import json
from uuid import UUID

import pytest
from django.contrib.sessions.backends.db import SessionStore

from twofactor import ceremonies, passkeys
from twofactor.ceremonies import REGISTER, SECOND_FACTOR, STEP_UP, Scope, encode
from twofactor.models import Passkey
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW
from twofactor.tests.passkeys import ORIGIN, add_passkey
from twofactor.tests.softkey import BE, BS, UV, SoftKey

SCOPE = Scope(REGISTER, "a" * 32, 1, "")
CHALLENGE = bytes(32)
AAGUID = UUID("d548826e-79b4-db40-a3d8-11116f7e8349")


@pytest.fixture
def register():
    """Return a function that registers a key. It takes the changes of SoftKey."""

    def register(key, **changes):
        ceremony, token = ceremonies.begin(SCOPE, user_handle=b"h" * 64)
        options = {"challenge": encode(ceremony.challenge), "rp": {"id": "testserver"}, "user": {"id": encode(b"h")}}
        answer = key.create(options, **{"origin": ORIGIN, **changes})
        return passkeys.verify_new(json.dumps(answer), token, SCOPE)

    return register


@pytest.mark.parametrize("flags", [0, UV, UV | BE, BE | BS])
def test_a_new_passkey_stores_what_the_authenticator_says(register, flags):
    key = SoftKey(flags=flags, sign_count=7, aaguid=AAGUID.bytes)
    passkey = register(key)
    assert (passkey.credential_id, passkey.public_key, passkey.user_handle) == (
        key.credential_id, key.public_key, b"h" * 64,
    )  # fmt: skip
    assert (passkey.rp_id, passkey.sign_count, passkey.aaguid) == ("testserver", 7, AAGUID)
    assert passkey.transports == "internal hybrid"
    stored = (passkey.is_user_verified, passkey.is_backup_eligible, passkey.is_backed_up, passkey.is_discoverable)
    assert stored == (bool(flags & UV), bool(flags & BE), bool(flags & BS), True)


@pytest.mark.parametrize("changes, why", [({"origin": "https://evil.example"}, "origin"), ({"flags": 0}, "presence")])
def test_a_refused_registration_says_why_to_the_log_alone(register, changes, why):
    with pytest.raises(Refused) as refusal:
        register(SoftKey(), **changes)
    assert (refusal.value.code, refusal.value.why) == ("wrong", why)


@pytest.mark.parametrize("taken, name", [
    (set(), "Key"), ({"Other"}, "Key"), ({"Key"}, "Key 2"), ({"Key", "Key 2"}, "Key 3"), ({"Key", "Key 3"}, "Key 2"),
])  # fmt: skip
def test_a_name_is_numbered_from_the_second_on(taken, name):
    assert passkeys.numbered("Key", taken) == name


@pytest.mark.parametrize("is_on, host, is_offered, elsewhere", [
    (True, "testserver", True, ""), (True, "TESTSERVER", True, ""), (True, "localhost", False, ORIGIN),
    (False, "testserver", False, ""), (False, "localhost", False, ""),
])  # fmt: skip
def test_pages_offer_passkeys_or_name_the_first_address_where_they_work(
    rf, settings, is_on, host, is_offered, elsewhere
):
    settings.ALLOWED_HOSTS, settings.TWOFACTOR_PASSKEYS = ["*"], is_on
    settings.TWOFACTOR_ORIGINS = ["http://testserver", ORIGIN, "https://www.testserver"]
    request = rf.get("/", headers={"Host": host})
    assert passkeys.offer(request) == {"offers_passkeys": is_offered, "passkeys_at": elsewhere}


@pytest.mark.parametrize("origin, is_usable", [
    ("http://localhost:8000", True), ("http://site.localhost", True), ("https://localhost", True),
    ("http://localhost.example", False), ("ftp://localhost", False), ("http://localhost/", False),
])  # fmt: skip
def test_localhost_needs_no_https(settings, origin, is_usable):
    settings.TWOFACTOR_RP_ID = "localhost"
    assert passkeys.is_usable(origin) is is_usable


# --- What a challenge is bound to, and the check of an assertion ----------------------------------


def test_a_challenge_is_bound_to_the_session_or_the_pending_sign_in_and_to_the_version(request_, passkey):
    row, session_key = passkey.second_factor, request_.session.session_key
    pk = request_.user.pk
    assert passkeys.scope_of(request_, REGISTER, None) == Scope(REGISTER, session_key, pk, "")
    assert passkeys.scope_of(request_, STEP_UP, row) == Scope(STEP_UP, session_key, pk, row.version)
    pending = passkeys.scope_of(request_, SECOND_FACTOR, row, pending_id="p" * 32)
    assert pending == Scope(SECOND_FACTOR, "p" * 32, pk, row.version)
    request_.session = SessionStore()
    assert passkeys.scope_of(request_, REGISTER, None).browser == ""


def test_an_account_without_passkeys_has_no_query_for_them(second_factor, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert passkeys.passkeys_of(None) == passkeys.passkeys_of(second_factor) == []


@pytest.fixture
def signed():
    """Return a function that verifies an assertion by a key for these passkeys. It takes the changes of SoftKey."""

    def signed(key, *own, **changes):
        answer = key.get({"challenge": "A" * 43, "rpId": "testserver"}, **{"origin": ORIGIN, **changes})
        return passkeys.verify(own, json.dumps(answer), CHALLENGE)

    return signed


def why_refused(function, *arguments, **changes):
    with pytest.raises(Refused) as refusal:
        function(*arguments, **changes)
    assert refusal.value.code == "wrong"
    return refusal.value.why


@pytest.mark.parametrize("changes, why", [
    ({}, ""), ({"origin": "http://testserver"}, "origin"), ({"handle": b"x"}, "user_handle"),
    ({"flags": 1}, "backup_eligibility"),
])  # fmt: skip
def test_an_assertion_has_to_match_what_is_stored(signed, key, passkey, changes, why):
    if why:
        assert why_refused(signed, key, passkey, **changes) == why
    else:
        assert signed(key, passkey).passkey == passkey
    assert why_refused(signed, SoftKey(), passkey) == "unknown"


def test_a_challenge_and_a_sign_count_are_used_once(signed, user):
    key = SoftKey(flags=UV, sign_count=5, step=1)
    passkey = add_passkey(user, key)
    stale = Passkey.objects.get()
    first, second = signed(key, passkey), signed(key, stale)
    passkeys.use_up(second, CHALLENGE, has_password=False, now=NOW)
    assert why_refused(passkeys.use_up, second, CHALLENGE, has_password=False, now=NOW) == "used"
    assert why_refused(passkeys.use_up, first, b"another", has_password=False, now=NOW) == "used"
    assert Passkey.objects.get().sign_count == 7


def test_the_backup_eligibility_of_an_imported_passkey_is_known_after_its_use(signed, user, key):
    passkey = add_passkey(user, key, is_backup_eligible=None)
    passkeys.use_up(signed(key, passkey), CHALLENGE, has_password=False, now=NOW)
    assert Passkey.objects.get().is_backup_eligible
