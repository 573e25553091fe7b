"""Which passkeys of other apps are imported, and what is said of the others."""

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

from twofactor.importing import allauth, otp_passkeys, passkeys, write
from twofactor.importing.passkeys import Found
from twofactor.importing.users import ImportedPasskey, ImportedUser
from twofactor.models import BackupCode, Passkey, SecondFactor
from twofactor.models.passkey import digest_of
from twofactor.tests.constants import SECRET
from twofactor.tests.softkey import BE, UV, SoftKey, encode

pytestmark = pytest.mark.database

LONG_AGO, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
YUBIKEY = UUID("2fc0579f-8113-47ea-b116-bb5a8db9202a")
OPTIONS = {"rp": {"id": "testserver"}, "user": {"id": encode(b"7")}, "challenge": "AAAA"}
KEY = SoftKey()


def imported(number=0, **fields):
    """A passkey as another app has stored it. Each number is another credential."""
    given = {"credential_id": bytes([number]) * 32, "public_key": KEY.public_key, "aaguid": UUID(int=0)}
    return ImportedPasskey(**(given | fields))


# --- Reading --------------------------------------------------------------------------------------


def read(convert, *rows):
    return passkeys.read(rows, convert)


def registration(key=KEY, **changes):
    return key.create(OPTIONS, origin="https://testserver", **changes)


def test_a_registration_is_read_with_its_flags():
    key = SoftKey(-8, flags=UV | BE, sign_count=7, aaguid=YUBIKEY.bytes)
    (found,) = read(passkeys.of_registration, registration(key)).passkeys
    assert (found.credential_id, found.aaguid, found.sign_count) == (key.credential_id, YUBIKEY, 7)
    assert (found.user_verified, found.backup_eligible, found.backup_state, found.discoverable) == (
        True,
        True,
        False,
        True,
    )
    assert found.transports == ("internal", "hybrid")


@pytest.mark.parametrize("changes, what", [
    ({"rp_id": "www.testserver"}, "passkeys of another domain"),
    ({"cose": SoftKey(-35).cose}, "passkeys with an unsupported algorithm"),
    ({"cose": KEY.cose | {-1: 2}}, "unreadable passkeys"),
    ({"rawId": encode(bytes(32))}, "unreadable passkeys"),
    ({"response": {}}, "unreadable passkeys"),
])  # fmt: skip
def test_a_registration_that_cannot_be_used_is_named(changes, what):
    assert read(passkeys.of_registration, registration(**changes)) == Found((), (what,))


def test_one_bad_passkey_does_not_keep_the_others_from_being_imported():
    found = read(passkeys.of_registration, registration(), None, registration(rp_id="example.org"), {})
    assert len(found.passkeys) == 1
    assert found.refused == ("passkeys of another domain", "unreadable passkeys")


@pytest.mark.parametrize("wrong", [
    {"name": ["x"]}, {"name": None}, {"sign_count": "7"}, {"sign_count": None}, {"sign_count": -1},
    {"sign_count": 2**32}, {"discoverable": "yes"},
], ids=str)  # fmt: skip
def test_values_of_another_type_or_size_make_a_passkey_unreadable(wrong):
    found = read(lambda fields: imported(**fields), {}, wrong)
    assert (len(found.passkeys), found.refused) == (1, ("unreadable passkeys",))


@pytest.mark.parametrize("rp_id, accepted", [(None, True), ("", True), ("testserver", True), ("example.org", False)])
def test_without_the_registration_the_setting_of_the_other_app_names_the_domain(rp_id, accepted):
    found = read(lambda key: passkeys.of_key(key.credential_id, key.cose, rp_id=rp_id), KEY)
    assert (len(found.passkeys), found.refused) == ((1, ()) if accepted else (0, ("passkeys of another domain",)))


def test_a_key_without_its_registration_has_no_known_flags():
    (found,) = read(lambda key: passkeys.of_key(key.credential_id, key.cose, rp_id=None), KEY).passkeys
    assert (found.backup_eligible, found.user_verified, found.user_handle) == (None, False, b"")


def test_no_passkeys_are_imported_while_they_are_off(settings):
    settings.TWOFACTOR_PASSKEYS = False
    assert read(passkeys.of_registration, registration()).refused == ("passkeys (they are off here)",)


def test_a_passkey_of_allauth_has_the_user_handle_of_its_own_adapter(settings):
    data = {"name": "My key", "credential": registration()}
    row = SimpleNamespace(user_id=40, data=data, created_at=LONG_AGO, last_used_at=None)
    found = allauth.passkey_of(row)
    assert (found.user_handle, found.name, found.created_at) == (b"14", "My key", LONG_AGO)  # 40 in base 36
    settings.MFA_ADAPTER = "site.Adapter"
    assert allauth.passkey_of(row).user_handle == b""


def test_a_malformed_user_handle_of_otp_webauthn_makes_its_passkeys_alone_unreadable():
    row = SimpleNamespace(
        credential_id=KEY.credential_id, public_key=KEY.public_key, aaguid=str(YUBIKEY), name="Key", sign_count=0,
        transports=[], backup_eligible=True, backup_state=True, discoverable=None,
    )  # fmt: skip
    found = read(lambda handle: otp_passkeys.of_package(row, None, handle), "0a", "x")
    assert ([key.user_handle for key in found.passkeys], found.refused) == ([b"\n"], ("unreadable passkeys",))


def test_a_passkey_of_two_factor_auth_has_the_user_handle_of_its_own_mixin(settings):
    row = SimpleNamespace(
        user_id=1, name="default", sign_count=3, key_handle=encode(KEY.credential_id), public_key=encode(KEY.public_key)
    )
    found = otp_passkeys.of_plugin(row)
    assert (found.user_handle, found.name) == (b"356a192b7913b04c54574d18c28d46e6395428ab", "")
    settings.TWO_FACTOR_WEBAUTHN_ENTITIES_FORM_MIXIN = "site.Mixin"
    assert otp_passkeys.of_plugin(row).user_handle == b""


# --- Users with passkeys --------------------------------------------------------------------------

ONE = Found((imported(),), ())
OTHER = Found((), ("passkeys of another domain",))
NO_APP = ImportedUser(1, problem="has recovery codes only")


@pytest.mark.parametrize("user, found, has_app, problem, notes", [
    (ImportedUser(1, SECRET), ONE, True, "", ()),
    (ImportedUser(1, SECRET), OTHER, True, "", ("not imported: passkeys of another domain",)),
    (NO_APP, ONE, False, "", ()),
    (NO_APP, OTHER, False, "has passkeys of another domain only", ()),
    (ImportedUser(1, problem="too old"), ONE, True, "", ("not imported: the app (too old)",)),
    (ImportedUser(1, problem="too old"), OTHER, True, "too old", ("not imported: passkeys of another domain",)),
])  # fmt: skip
def test_a_passkey_is_enough_to_import_a_user(user, found, has_app, problem, notes):
    result = found.add_to(user, has_app=has_app)
    assert (result.problem, result.notes, result.passkeys) == (problem, notes, found.passkeys)


# --- Writing --------------------------------------------------------------------------------------


class ListSource:
    def __init__(self, *imported):
        self.imported = imported

    def keys(self):
        return [user.key for user in self.imported]

    def users(self, keys):
        return iter(self.imported)


def run_import(*users):
    lines = []
    return write.import_users(ListSource(*users), name="a test", dry_run=False, output=lines.append), lines


def test_passkeys_are_imported_beside_the_app(user):
    first = imported(1, name="My key", user_handle=b"7", sign_count=7, transports=("usb", "nfc"), created_at=LONG_AGO)
    second = imported(2, aaguid=YUBIKEY, created_at=LATER, last_used_at=LATER, backup_eligible=True, backup_state=True)
    totals, lines = run_import(ImportedUser(user.pk, SECRET, passkeys=(first, second), created_at=LATER))
    assert (totals["imported"], totals["passkeys"], lines) == (1, 2, [])
    row = SecondFactor.objects.get()
    assert (row.passkey_count, row.app.secret, row.created_at, row.app.created_at) == (2, SECRET, LONG_AGO, LATER)
    key, yubikey = row.passkeys.order_by("pk")
    assert (key.name, key.transports, key.rp_id, key.is_backup_eligible) == ("My key", "usb nfc", "testserver", None)
    assert (bytes(key.credential_id), bytes(key.user_handle), key.sign_count) == (bytes([1]) * 32, b"7", 7)
    assert (yubikey.name, yubikey.is_backed_up, yubikey.last_used_at) == ("YubiKey 5 NFC", True, LATER)
    assert row.passkeys.get(digest=digest_of(bytes([2]) * 32)) == yubikey


def test_passkeys_without_a_name_are_numbered(user):
    run_import(ImportedUser(user.pk, passkeys=(imported(1), imported(2), imported(3, name="Passkey"))))
    assert list(Passkey.objects.order_by("pk").values_list("name", flat=True)) == ["Passkey", "Passkey 2", "Passkey 3"]


@pytest.mark.parametrize("name, imported_name", [
    ("a\u202eb\0c\r\nBcc: d", "a b c Bcc: d"), ("\u200b", "Passkey"), ("x" * 200, "x" * 60),
])  # fmt: skip
def test_names_are_cleaned_as_those_that_a_user_types(user, name, imported_name):
    run_import(ImportedUser(user.pk, passkeys=(imported(name=name),)))
    assert Passkey.objects.get().name == imported_name


def test_a_user_without_an_app_has_no_backup_codes(user):
    """The check of imported codes takes the secret of an app."""
    totals, (line,) = run_import(
        ImportedUser(user.pk, passkeys=(imported(),), codes=("00412857",), hashed_codes=("x",))
    )
    assert line == f"user {user.pk}: not imported: recovery codes, which need an authenticator app (2)"
    assert (totals["imported"], totals["codes"], BackupCode.objects.count()) == (1, 0, 0)
    assert not SecondFactor.objects.get().has_app


def test_a_passkey_that_two_users_have_is_imported_once(user, bob, make_user):
    Passkey.objects.add(bob, Passkey(credential_id=bytes([1]) * 32, public_key=KEY.public_key, name="Key"))
    third = make_user("carol@example.com")
    totals, lines = run_import(
        ImportedUser(user.pk, SECRET, passkeys=(imported(1), imported(2))),
        ImportedUser(third.pk, passkeys=(imported(2),)),
    )
    assert (totals["imported"], totals["refused"]) == (1, 1)
    assert sorted(lines) == [
        f"user {user.pk}: not imported: passkeys of another user (1)",
        f"user {third.pk}: cannot be imported: has passkeys of another user only",
    ]
    assert SecondFactor.objects.get(user=user).passkey_count == 1


def test_a_user_has_at_most_twenty_passkeys(user):
    totals, (line,) = run_import(ImportedUser(user.pk, passkeys=tuple(map(imported, range(22)))))
    assert (totals["passkeys"], Passkey.objects.count()) == (20, 20)
    assert "not imported: passkeys beyond the 20 that an account may have (2)" in line


def test_the_log_counts_passkeys(user, caplog):
    with caplog.at_level("INFO", "twofactor"):
        run_import(ImportedUser(user.pk, passkeys=(imported(),)))
    assert caplog.messages == [f"event=imported user={user.pk} source='a test' codes=0 passkeys=1"]
