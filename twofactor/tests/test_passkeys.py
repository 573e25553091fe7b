"""What is stored of a new passkey, how it is named, and where passkeys are offered."""

import json
from uuid import UUID

import pytest

from twofactor import ceremonies, passkeys
from twofactor.ceremonies import REGISTER, Scope, encode
from twofactor.refusals import Refused
from twofactor.tests.passkeys import ORIGIN
from twofactor.tests.softkey import BE, BS, UV, SoftKey

SCOPE = Scope(REGISTER, "a" * 32, 1, "")
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
