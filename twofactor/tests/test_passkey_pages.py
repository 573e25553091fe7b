"""Passkeys through the pages: sign-in, step-up, confirm and adding; and every answer that must not be accepted."""

import json

import pytest

from twofactor.models import AuthenticatorApp, BackupCode, Passkey, SecondFactor
from twofactor.tests.constants import CONFIRM, DISABLE, PASSWORD, REAUTHENTICATE, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import age_second_factor, code_now, give_password, is_signed_in, new_client
from twofactor.tests.hosts.pages import STRICT
from twofactor.tests.passkeys import ORIGIN, add_passkey, fields_of, options_of, register, sign
from twofactor.tests.responses import backup_codes_on, errors, messages_on, redirect_target
from twofactor.tests.rows import counters, event_kinds
from twofactor.tests.softkey import AT, BE, BS, ED, UP, UV, SoftKey, cbor, decode, encode

ADD = f"{SETTINGS}passkeys/add/"
WORDS = "That passkey didn't work. Try again, or use another method."


def form_of(response):
    return response.context["form"]


@pytest.fixture
def pending(signed_out_client, user, passkey):
    """A client after the password, of a user with a passkey."""
    give_password(signed_out_client, user)
    return signed_out_client


@pytest.fixture
def passkey_client(pending, key):
    pending.post(VERIFY_LOGIN, sign(key, form_of(pending.get(VERIFY_LOGIN))))
    assert is_signed_in(pending)
    return pending


@pytest.fixture
def adding(signed_in_client):
    """A client without 2FA after the step-up that begins to add a passkey."""
    signed_in_client.post(ADD, {"password": PASSWORD})
    return signed_in_client


# --- Accepted -------------------------------------------------------------------------------------


def test_a_passkey_signs_in_after_the_password(passkey_client):
    assert passkey_client.session["twofactor"]["method"] == "passkey"


def test_a_page_that_shows_a_challenge_changes_no_session(pending):
    before = dict(pending.session.items())
    assert pending.get(VERIFY_LOGIN).status_code == 200
    assert dict(pending.session.items()) == before


def test_a_passkey_that_verified_the_user_is_a_step_up_without_a_password(passkey_client, key):
    page = passkey_client.get(REAUTHENTICATE)
    passkey_client.post(REAUTHENTICATE, sign(key, form_of(page)))
    records = passkey_client.session["account_authentication_methods"]
    last = {name: value for name, value in records[-1].items() if name != "at"}
    assert last == {"method": "mfa", "type": "webauthn", "reauthenticated": True}
    assert [record["method"] for record in records] == ["password", "mfa", "mfa"]
    passkey_client.post(DISABLE, sign(key, form_of(passkey_client.get(DISABLE))))
    assert not SecondFactor.objects.exists()


def test_a_touch_is_a_step_up_together_with_the_password(passkey_client, user):
    add_passkey(user, touch := SoftKey(flags=0))
    sign_in_again = new_client()
    give_password(sign_in_again, user)
    sign_in_again.post(VERIFY_LOGIN, sign(touch, form_of(sign_in_again.get(VERIFY_LOGIN))))
    refused = sign_in_again.post(DISABLE, sign(touch, form_of(sign_in_again.get(DISABLE))))
    assert errors(refused) == {"password": ["password"]}
    sign_in_again.post(DISABLE, {"password": PASSWORD, **sign(touch, form_of(refused))})
    assert not SecondFactor.objects.exists()


def test_a_confirmation_takes_a_passkey(passkey_client, key):
    age_second_factor(passkey_client, 3600)
    page = passkey_client.get(CONFIRM, {"next": SETTINGS})
    assert redirect_target(passkey_client.post(f"{CONFIRM}?next={SETTINGS}", sign(key, form_of(page)))) == SETTINGS


def test_the_first_passkey_turns_2fa_on_and_shows_the_backup_codes(adding, key, user, emails_to):
    page = adding.get(ADD)
    added = adding.post(ADD, register(key, form_of(page)) | {"name": "  My \u202ephone "})
    assert len(backup_codes_on(added)) == 10
    passkey = Passkey.objects.get()
    assert passkey.name == "My phone"
    assert (bytes(passkey.credential_id), len(passkey.user_handle)) == (key.credential_id, 64)
    assert passkey.is_user_verified
    assert passkey.is_backup_eligible
    assert passkey.is_discoverable
    assert passkey.transports == "internal hybrid"
    assert is_signed_in(adding)
    assert adding.get(SETTINGS).status_code == 200
    assert event_kinds() == ["turned_on"]
    assert "your passkey" in emails_to(user.email)[0].body


def test_a_reload_of_the_backup_codes_leads_to_the_settings(adding, key, caplog):
    fields = register(key, form_of(adding.get(ADD))) | {"name": ""}
    assert len(backup_codes_on(adding.post(ADD, fields))) == 10
    assert redirect_target(adding.post(ADD, fields)) == SETTINGS
    assert any("your backup codes only once" in message for message in messages_on(adding.get(SETTINGS)))
    assert "passkey_refused" not in caplog.text


def test_a_second_passkey_excludes_the_first_has_its_user_handle_and_a_number(passkey_client, key, passkey):
    handle = bytes(passkey.user_handle)
    Passkey.objects.update(name="Passkey")
    page = passkey_client.post(ADD, sign(key, form_of(passkey_client.get(ADD))))
    asked = options_of(form_of(page))
    assert [each["id"] for each in asked["excludeCredentials"]] == [encode(key.credential_id)]
    assert decode(asked["user"]["id"]) == handle
    passkey_client.post(ADD, register(SoftKey(), form_of(page)))
    assert list(Passkey.objects.order_by("pk").values_list("name", flat=True)) == ["Passkey", "Passkey 2"]
    assert event_kinds() == ["passkey_added"]


def test_what_a_registration_asks(adding):
    asked = options_of(form_of(adding.get(ADD)))
    challenge, handle = asked.pop("challenge"), asked["user"].pop("id")
    assert (len(decode(challenge)), len(decode(handle))) == (32, 64)
    assert asked == {
        "rp": {"id": "testserver", "name": "Twofactor"},
        "user": {"name": "ada@example.com", "displayName": "Ada Example"},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in (-8, -7, -257)],
        "timeout": 300_000,
        "excludeCredentials": [],
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
        "attestation": "none",
        "extensions": {"credProps": True},
    }


def test_a_user_who_was_imported_without_backup_codes_gets_them_with_the_next_change(passkey_client, key):
    BackupCode.objects.all().delete()
    AuthenticatorApp.objects.all().delete()
    page = passkey_client.get(ADD)
    page = passkey_client.post(ADD, sign(key, form_of(page)))
    page = passkey_client.post(ADD, register(SoftKey(), form_of(page)))
    assert len(backup_codes_on(page)) == 10
    assert event_kinds()[-1] == "passkey_added"
    BackupCode.objects.all().delete()
    remove = f"{SETTINGS}passkeys/{Passkey.objects.last().pk}/remove/"
    page = passkey_client.post(remove, sign(key, form_of(passkey_client.get(remove))))
    assert len(backup_codes_on(page)) == 10
    assert event_kinds()[-1] == "passkey_removed"


# --- A view that requires a passkey ---------------------------------------------------------------


def test_a_view_that_requires_a_passkey_takes_no_code(client_with_2fa, user, key, secret):
    assert redirect_target(client_with_2fa.get(STRICT)) == f"{ADD}?next={STRICT.replace('/', '%2F')}"
    add_passkey(user, key)
    client = new_client()
    give_password(client, user)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    url = redirect_target(client.get(STRICT))
    assert "only=passkey" in url
    page = client.get(url)
    assert list(form_of(page).others) == []
    assert errors(client.post(url, {"code": code_now(secret, steps_ahead=1)})) == {"credential": ["wrong"]}
    assert redirect_target(client.post(url, sign(key, form_of(page)))) == STRICT
    assert client.get(STRICT).content == b"by passkey"


def test_signing_in_with_a_passkey_opens_a_view_that_requires_one(passkey_client):
    assert passkey_client.get(STRICT).content == b"by passkey"


def test_a_confirmation_by_passkey_without_one_leads_to_the_settings(client_with_2fa):
    age_second_factor(client_with_2fa, 3600)
    assert redirect_target(client_with_2fa.get(CONFIRM, {"only": "passkey"})) == SETTINGS


def test_a_user_without_2fa_is_asked_to_add_a_passkey(signed_in_client):
    assert redirect_target(signed_in_client.get(STRICT)).startswith(ADD)
    assert "That page needs a passkey. Add one first." in messages_on(signed_in_client.get(ADD))


# --- Not accepted ---------------------------------------------------------------------------------


def rows():
    """Return what no refused answer may change."""
    models = (SecondFactor, AuthenticatorApp, BackupCode, Passkey)
    return [list(model.objects.order_by("pk").values()) for model in models]


def posted(credential):
    return credential if isinstance(credential, str) else json.dumps(credential)


def without(credential, *names):
    """Return the answer without one of its members."""
    copy = json.loads(json.dumps(credential))
    inner = copy
    for name in names[:-1]:
        inner = inner[name]
    del inner[names[-1]]
    return copy


def with_response(credential, **members):
    return credential | {"response": credential["response"] | members}


# Neither JSON nor an answer
JUNK = {
    "nothing": "", "null": "null", "a list": "[]", "a number": "1", "text": "x", "an object": "{}", "NUL": "\0",
    "a NUL in JSON": '{"id": "\\u0000"}', "lone surrogates": '{"id": "\\ud800", "rawId": "\\ud800"}',
    "64 KB": "x" * 60_000,
    "deep JSON": "[" * 15_000, "a deep object": '{"a":' * 3_000, "a huge number": "9" * 16_000, "Infinity": "Infinity",
}  # fmt: skip
ENDLESS_CBOR = {
    "no CBOR": b"", "an endless map": b"\xbf" * 500, "deep CBOR": b"\x81" * 9_000,
    "a huge length": b"\x5b" + b"\xff" * 8,
    "an empty map": b"\xa0", "a number": b"\x01",
}  # fmt: skip
FLAGS = {"no presence": UV | BE | BS, "backup state only": UP | UV | BS, "extensions only": UP | UV | BE | BS | ED}
CLIENT = {
    "another challenge": {"challenge": encode(b"c" * 32)}, "no challenge": {"challenge": ""},
    "a number as challenge": {"challenge": 5}, "another type": {"type": "payment.get"},
    "a frame": {"crossOrigin": True},
    "a frame by its origin": {"topOrigin": "https://evil.example"}, "a number as origin": {"origin": 5},
    "no origin": {"origin": None}, "a list as type": {"type": []},
}  # fmt: skip
ORIGINS = [
    "https://testserver:8443", "http://testserver", "https://evil.testserver", "https://testserver.evil.example",
    "https://testserver/", "https://TESTSERVER", "null", "",
]  # fmt: skip

GET = {
    **{name: lambda key, options, text=text: text for name, text in JUNK.items()},
    **{
        name: lambda key, options, flags=flags: key.get(options, origin=ORIGIN, flags=flags)
        for name, flags in (FLAGS | {"eligibility changed": UP | UV, "a key": UP | AT}).items()
    },
    **{
        name: lambda key, options, client=client: key.get(options, origin=ORIGIN, client=client)
        for name, client in CLIENT.items()
    },
    **{f"origin {origin}": lambda key, options, origin=origin: key.get(options, origin=origin) for origin in ORIGINS},
    "an answer to a registration": lambda key, options: key.get(
        options, origin=ORIGIN, client={"type": "webauthn.create"}
    ),
    "another domain": lambda key, options: key.get(options, origin=ORIGIN, rp_id="evil.example"),
    "a bogus signature": lambda key, options: key.get(options, origin=ORIGIN, signature=b"\0" * 70),
    "no signature": lambda key, options: key.get(options, origin=ORIGIN, signature=b""),
    "another key under the same ID": lambda key, options: SoftKey(credential_id=key.credential_id).get(
        options, origin=ORIGIN
    ),
    "an unknown key": lambda key, options: SoftKey().get(options, origin=ORIGIN),
    "another user": lambda key, options: key.get(options, origin=ORIGIN, handle=b"x" * 64),
    "another ID": lambda key, options: key.get(options, origin=ORIGIN) | {"id": "AAAA"},
    "no type": lambda key, options: without(key.get(options, origin=ORIGIN), "type"),
    "no response": lambda key, options: without(key.get(options, origin=ORIGIN), "response"),
    "no data": lambda key, options: without(key.get(options, origin=ORIGIN), "response", "authenticatorData"),
    "short data": lambda key, options: with_response(key.get(options, origin=ORIGIN), authenticatorData="AAAA"),
    "a list as response": lambda key, options: key.get(options, origin=ORIGIN) | {"response": []},
}


def registration(cbor_bytes):
    """Answer with this attestation object."""
    return lambda key, options: with_response(key.create(options, origin=ORIGIN), attestationObject=encode(cbor_bytes))


CREATE = {
    **{name: lambda key, options, text=text: text for name, text in JUNK.items()},
    **{name: registration(data) for name, data in ENDLESS_CBOR.items()},
    **{
        name: lambda key, options, flags=flags: key.create(options, origin=ORIGIN, flags=flags)
        for name, flags in FLAGS.items()
    },
    **{
        name: lambda key, options, client=client: key.create(options, origin=ORIGIN, client=client)
        for name, client in CLIENT.items()
    },
    **{
        f"origin {origin}": lambda key, options, origin=origin: key.create(options, origin=origin) for origin in ORIGINS
    },
    "an assertion": lambda key, options: key.create(options, origin=ORIGIN, client={"type": "webauthn.get"}),
    "another domain": lambda key, options: key.create(options, origin=ORIGIN, rp_id="evil.example"),
    "no key": lambda key, options: key.create(options, origin=ORIGIN, attested=False),
    "an algorithm that was not offered": lambda key, options: SoftKey(-35).create(options, origin=ORIGIN),
    "a point off the curve": lambda key, options: key.create(options, origin=ORIGIN, cose={**key.cose, -2: b"\1" * 32}),
    "a key without numbers": lambda key, options: key.create(options, origin=ORIGIN, cose={1: 2, 3: -7}),
    "a short ID": lambda key, options: SoftKey(credential_id=b"x" * 15).create(options, origin=ORIGIN),
    "a long ID": lambda key, options: SoftKey(credential_id=b"x" * 1024).create(options, origin=ORIGIN),
    "another ID": lambda key, options: key.create(options, origin=ORIGIN) | {"id": "AAAA", "rawId": "AAAA"},
    "CBOR of something else": registration(cbor({"fmt": "none", "attStmt": {}})),
}


def assert_refused(response, log, before):
    assert response.status_code == 422
    assert [str(error) for error in form_of(response).errors["credential"]] == [WORDS]
    assert rows() == before
    (record,) = [record for record in log.records if "passkey_refused" in record.getMessage()]
    assert record.getMessage().startswith("event=passkey_refused user=")
    log.clear()


@pytest.mark.parametrize("case", GET)
def test_a_wrong_assertion_is_refused_in_the_same_words_and_changes_nothing(pending, key, caplog, case):
    form = form_of(pending.get(VERIFY_LOGIN))
    before = rows()
    credential = posted(GET[case](key, options_of(form)))
    refused = pending.post(VERIFY_LOGIN, {"credential": credential, "ceremony": form["ceremony"].value()})
    assert_refused(refused, caplog, before)
    assert not is_signed_in(pending)
    assert options_of(form_of(refused))["challenge"] != options_of(form)["challenge"]
    pending.post(VERIFY_LOGIN, sign(key, form_of(refused)))  # with the new challenge
    assert is_signed_in(pending)


@pytest.mark.parametrize("case", CREATE)
def test_a_wrong_registration_is_refused_in_the_same_words_and_stores_nothing(adding, key, caplog, case):
    form = form_of(adding.get(ADD))
    before = rows()
    credential = posted(CREATE[case](key, options_of(form)))
    refused = adding.post(ADD, {"credential": credential, "ceremony": form["ceremony"].value(), "name": ""})
    assert_refused(refused, caplog, before)
    assert event_kinds() == []
    adding.post(ADD, register(key, form_of(refused)))  # with the new challenge
    assert Passkey.objects.count() == 1


FORGED = ["", "x", "\0", "\ufffd", "a:b:c", "x" * 60_000]


def post_with(client, path, answer, token):
    """Answer the form of this page right, but with this token."""
    credential = json.dumps(answer(options_of(form_of(client.get(path))), origin=ORIGIN))
    return client.post(path, {"credential": credential, "ceremony": token})


@pytest.mark.parametrize("token", FORGED)
def test_a_forged_ceremony_does_not_sign_in(pending, key, caplog, token):
    before = rows()
    assert_refused(post_with(pending, VERIFY_LOGIN, key.get, token), caplog, before)
    assert not is_signed_in(pending)


@pytest.mark.parametrize("token", FORGED)
def test_a_forged_ceremony_adds_nothing(adding, key, caplog, token):
    before = rows()
    assert_refused(post_with(adding, ADD, key.create, token), caplog, before)


def test_a_challenge_of_another_purpose_or_browser_is_refused(pending, key, user, caplog):
    at_sign_in = form_of(pending.get(VERIFY_LOGIN))
    other = new_client()
    give_password(other, user)
    refused = other.post(VERIFY_LOGIN, sign(key, at_sign_in))
    assert_refused(refused, caplog, rows())
    other.post(VERIFY_LOGIN, sign(key, form_of(refused)))
    assert is_signed_in(other)
    before = rows()
    at_step_up = form_of(other.get(DISABLE))
    assert_refused(other.post(DISABLE, sign(key, at_sign_in)), caplog, before)
    assert_refused(pending.post(VERIFY_LOGIN, sign(key, at_step_up)), caplog, before)
    to_add = form_of(other.post(ADD, sign(key, form_of(other.get(ADD)))))
    before = rows()
    answer = SoftKey().create(options_of(to_add), origin=ORIGIN)
    assert_refused(other.post(ADD, fields_of(at_step_up, answer)), caplog, before)


def test_a_credential_that_another_user_has_is_refused(adding, key, bob, caplog):
    add_passkey(bob, key)
    form = form_of(adding.get(ADD))
    before = rows()
    refused = adding.post(ADD, register(key, form))
    assert_refused(refused, caplog, before)


def test_a_passkey_of_another_account_does_not_sign_in(pending, bob, caplog):
    add_passkey(bob, own := SoftKey())
    before = rows()
    refused = pending.post(VERIFY_LOGIN, sign(own, form_of(pending.get(VERIFY_LOGIN))))
    assert_refused(refused, caplog, before)
    assert not is_signed_in(pending)


def test_refused_passkeys_end_neither_the_sign_in_nor_the_session(pending, key, user):
    for _ in range(8):
        form = form_of(pending.get(VERIFY_LOGIN))
        pending.post(VERIFY_LOGIN, sign(key, form, origin="https://evil.example"))
    assert counters(SecondFactor.objects.get()) == (0, 0, 0)
    pending.post(VERIFY_LOGIN, sign(key, form_of(pending.get(VERIFY_LOGIN))))
    assert is_signed_in(pending)
    age_second_factor(pending, 3600)
    for _ in range(8):
        pending.post(CONFIRM, sign(key, form_of(pending.get(CONFIRM)), origin="https://evil.example"))
    assert is_signed_in(pending)
    assert event_kinds() == []


def test_an_account_with_an_app_alone_is_not_offered_a_passkey(pending_client, secret):
    page = pending_client.get(VERIFY_LOGIN)
    assert form_of(page).key == "code"
    assert b"data-passkey" not in page.content
