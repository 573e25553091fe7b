"""Who is imported, who is not and why, and interruptions. test_importing_sites.py uses the real packages."""

import copy
import logging
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.apps.registry import Apps
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError
from django.db import IntegrityError, connection, models
from django.test.utils import CaptureQueriesContext

from twofactor.importing import allauth, django_mfa, django_otp, pair, two_factor_auth, write
from twofactor.importing.users import ImportedUser, base32, base32_of_hex, build_or_report, last_step, unsupported
from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import NOW, SECRET
from twofactor.totp import code_at, time_step_at

pytestmark = pytest.mark.database

HEX = "48656c6c6f21deadbeef48656c6c6f21deadbeef"  # SECRET
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

# --- Pure functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("text, secret", [
    (SECRET.lower(), SECRET), ("JBSW Y3DP-" * 8, "JBSWY3DP" * 8),
    ("GEZDGNBVGY3TQOJQGEZA====", "GEZDGNBVGY3TQOJQGEZAAAAAAAAAAAAA"), ("GEZDGNBVGY3TQOI=", None),
    ("GEZDGNBVGY3TQOJ1", None), ("", None), ("é" * 32, None),
])  # fmt: skip
def test_a_secret_is_base32_of_80_bits_or_more(text, secret):
    assert base32(text) == secret


@pytest.mark.parametrize("text, secret", [(HEX.upper(), SECRET), (HEX[:-1], None), ("00" * 9, None), ("zz" * 20, None)])
def test_a_secret_of_django_otp_is_hexadecimal(text, secret):
    assert base32_of_hex(text) == secret


@pytest.mark.parametrize("kind, why", [
    ({}, ""), ({"digits": 8}, "its codes have 8 digits, not 6"),
    ({"period": 60}, "its codes change every 60 seconds, not every 30"),
    ({"t0": 1}, "its time steps do not start in 1970 (t0)"),
])  # fmt: skip
def test_unsupported_parameters_are_refused(kind, why):
    assert unsupported(**kind) == why


def test_every_code_that_may_have_been_used_counts_as_used():
    at = datetime.fromtimestamp(NOW, UTC)
    assert last_step([None, at - timedelta(days=1), at], ahead=1) == NOW // 30 + 1
    assert last_step([None], ahead=1) == -1


@pytest.mark.parametrize("codes", [{"codes": (412857,)}, {"hashed_codes": (None,)}])
def test_a_code_that_is_not_a_string_makes_the_row_unreadable(codes):
    user = build_or_report(lambda key: ImportedUser(key, SECRET, **codes), 1)
    assert user == ImportedUser(1, problem="its row cannot be read")


# --- Reading tables -------------------------------------------------------------------------------


@pytest.fixture
def make_table(db):
    def make(table, /, **fields):
        meta = type("Meta", (), {"db_table": table, "app_label": "elsewhere", "apps": Apps()})
        model = type("Row", (models.Model,), {"__module__": __name__, "Meta": meta, **copy.deepcopy(fields)})
        with connection.cursor() as cursor:
            cursor.execute(connection.schema_editor().table_sql(model)[0])
        return model

    return make


@pytest.fixture
def devices(make_table):
    """Create a device in the table of the first version of django-otp, without times."""
    common = {"user_id": models.BigIntegerField(), "name": models.TextField(), "confirmed": models.BooleanField()}
    numbers = {name: models.BigIntegerField() for name in ("step", "t0", "digits", "tolerance", "drift", "last_t")}
    model = make_table("otp_totp_totpdevice", **common, key=models.TextField(), **numbers)

    def make(user_id, **fields):
        usual = {"step": 30, "t0": 0, "digits": 6, "tolerance": 1, "drift": 0, "last_t": -1, "confirmed": True}
        return model.objects.create(**{"user_id": user_id, "name": "default", "key": HEX, **usual, **fields})

    return make


def user_of(source, key):
    (user,) = source.users([key])
    return user


@pytest.mark.parametrize("fields, why", [
    ({"confirmed": False}, "the app was never confirmed"), ({"key": "no hex"}, "the secret is invalid"),
    ({"digits": 8}, unsupported(digits=8)), ({"step": 60}, unsupported(period=60)), ({"t0": 5}, unsupported(t0=5)),
])  # fmt: skip
def test_an_unsupported_device_of_django_otp_is_refused(devices, fields, why):
    devices(1, **fields)
    assert user_of(django_otp.Source(), 1) == ImportedUser(1, problem=why)


def test_the_device_used_last_is_imported_and_the_others_are_reported(devices):
    devices(1, key="00" * 20, last_t=NOW // 30)
    devices(1, key=HEX, last_t=NOW // 30 + 1)
    devices(1, key="11" * 20, last_t=NOW // 30 + 2, digits=8)
    imported = user_of(django_otp.Source(), 1)
    assert (imported.secret, imported.last_time_step) == (SECRET, NOW // 30 + 1)
    assert imported.notes == ("only one of 3 apps, the one used last",)


@pytest.mark.parametrize("drift, notes", [
    (1, ()), (2, ("the clock of the phone is off by 60 s",)), (-3, ("the clock of the phone is off by -90 s",)),
])  # fmt: skip
def test_clock_drift_beyond_the_drift_window_is_reported(devices, drift, notes):
    devices(1, drift=drift)
    assert user_of(django_otp.Source(), 1).notes == notes


def test_two_factor_auth_imports_only_the_device_named_default(devices):
    devices(1, name="spare")
    assert "no device named default" in user_of(two_factor_auth.Source(), 1).problem


TYPED_DATA = {"user_id": models.BigIntegerField(), "type": models.TextField(), "data": models.JSONField()}


@pytest.fixture
def allauth_rows(make_table):
    return make_table("mfa_authenticator", **TYPED_DATA)


def test_codes_that_allauth_had_imported_are_imported(allauth_rows):
    allauth_rows.objects.create(user_id=1, type="totp", data={"secret": SECRET})
    allauth_rows.objects.create(user_id=1, type="recovery_codes", data={"migrated_codes": ["abc-defgh-12"]})
    imported = user_of(allauth.Source(), 1)
    assert (imported.secret, imported.codes, imported.last_time_step) == (SECRET, ("abc-defgh-12",), -1)


@pytest.mark.parametrize("rows, settings_, why", [
    ({"recovery_codes": {}}, {}, "has recovery codes only"), ({"totp": []}, {}, "its row cannot be read"),
    *[({"totp": data}, {}, "the secret cannot be decrypted or is invalid") for data in ({"secret": "base32!"}, {})],
    ({"totp": {"secret": SECRET}, "recovery_codes": {"seed": "s", "used_mask": []}}, {}, "its row cannot be read"),
    ({"totp": {"secret": SECRET}}, {"MFA_TOTP_DIGITS": 8}, unsupported(digits=8)),
    ({"totp": {"secret": SECRET}}, {"MFA_TOTP_PERIOD": 60}, unsupported(period=60)),
])  # fmt: skip
def test_an_unsupported_authenticator_of_allauth_is_refused(allauth_rows, settings, rows, settings_, why):
    for name, value in settings_.items():
        setattr(settings, name, value)
    for kind, data in rows.items():
        allauth_rows.objects.create(user_id=1, type=kind, data=data)
    assert user_of(allauth.Source(), 1) == ImportedUser(1, problem=why)


@pytest.mark.parametrize("secret, why", [
    ("mfa1:forged", "the secret cannot be decrypted or is invalid"), (SECRET, ""), (None, "its row cannot be read"),
])  # fmt: skip
def test_a_secret_that_no_key_of_django_mfa_signed_is_refused(make_table, settings, secret, why):
    settings.MFA_SECRET_ENCRYPTION_KEYS = ["k" * 50]
    times = {"created_at": models.DateTimeField(default=LONG_AGO), "last_used_at": models.DateTimeField(null=True)}
    rows = make_table("django_mfa_authenticator", **TYPED_DATA, **times)
    rows.objects.create(user_id=1, type="totp", data={"secret": secret, "last_verified_counter": NOW})
    imported = user_of(django_mfa.source(), 1)
    assert imported.problem == why
    if not why:
        assert (imported.secret, imported.last_time_step, imported.created_at) == (SECRET, NOW, LONG_AGO)


@pytest.fixture
def pair_rows(make_table):
    """Make the table of the pair, in an app of this label."""
    times = {name: models.DateTimeField(default=LONG_AGO) for name in ("created_at", "updated_at")}
    fields = {
        "id": models.UUIDField(primary_key=True, default=uuid4),
        "user_id": models.BigIntegerField(),
        "secret_key": models.TextField(),
        "is_enabled": models.BooleanField(default=True),
        "backup_codes": models.JSONField(default=list),
    }
    return lambda label="users": make_table(f"{label}_twofactorauth", **fields, **times)


@pytest.mark.parametrize("label", ["users", "my_shop"])
def test_a_row_of_the_pair_is_found_in_any_app(pair_rows, label):
    pair_rows(label).objects.create(user_id=1, secret_key=SECRET, backup_codes=["0A1B2C3D", "00412857"])
    source = pair.Source()
    assert source.keys() == [1]
    imported = user_of(source, 1)
    assert (imported.secret, imported.codes, imported.created_at) == (SECRET, ("0A1B2C3D", "00412857"), LONG_AGO)


def test_every_code_that_the_pair_may_have_accepted_counts_as_used(pair_rows):
    pair_rows().objects.create(user_id=1, secret_key=SECRET)
    before = time_step_at(time.time())
    assert before + 1 <= user_of(pair.Source(), 1).last_time_step <= time_step_at(time.time()) + 1


@pytest.mark.parametrize("row, why", [
    ({"secret_key": ""}, "2FA is on without a secret"), ({"secret_key": "not base32!"}, "the secret is invalid"),
    ({"secret_key": SECRET, "backup_codes": {}}, "its row cannot be read"),
    ({"secret_key": SECRET, "backup_codes": "0A1B2C3D"}, "its row cannot be read"),
])  # fmt: skip
def test_an_invalid_row_of_the_pair_is_refused(pair_rows, row, why):
    pair_rows().objects.create(user_id=1, **row)
    assert user_of(pair.Source(), 1) == ImportedUser(1, problem=why)


def test_a_secret_that_two_users_of_the_pair_share_is_refused(pair_rows):
    """Even if one of them never turned 2FA on, because the setup page showed them the secret."""
    rows = pair_rows()
    for key, secret, is_enabled in [(1, SECRET, True), (2, SECRET, True), (3, "B" * 32, True), (4, "B" * 32, False)]:
        rows.objects.create(user_id=key, secret_key=secret, is_enabled=is_enabled)
    shared = "another user has the same secret"
    assert [(user.key, user.problem) for user in pair.Source().users([1, 3])] == [(1, shared), (3, shared)]


def test_two_tables_with_the_columns_of_the_pair_are_an_error(pair_rows, run_command):
    pair_rows("shop")
    pair_rows("users")
    with pytest.raises(CommandError, match="shop_twofactorauth, users_twofactorauth"):
        run_command("twofactor", "import", "pair")


@pytest.mark.parametrize("app, missing", [
    ("allauth", "no table mfa_authenticator in this"), ("django-otp", "no table otp_totp_totpdevice in this"),
    ("django-mfa", "no table django_mfa_userotp in this"),
    ("pair", "no table with the columns backup_codes, is_enabled, secret_key, user_id"),
])  # fmt: skip
def test_a_missing_table_is_an_error(db, run_command, app, missing):
    with pytest.raises(CommandError, match=missing):
        run_command("twofactor", "import", app)


def test_a_missing_column_is_an_error(make_table, run_command):
    make_table("mfa_authenticator", user_id=models.BigIntegerField(), type=models.TextField())
    with pytest.raises(CommandError, match="The table mfa_authenticator has no column data"):
        run_command("twofactor", "import", "allauth")


def test_an_adapter_that_cannot_be_loaded_is_an_error(allauth_rows, run_command, settings):
    settings.MFA_ADAPTER = "site.Adapter"
    with pytest.raises(CommandError, match=r"cannot be used without allauth\.mfa in INSTALLED_APPS"):
        run_command("twofactor", "import", "allauth")


# --- Writing rows ---------------------------------------------------------------------------------


class ListSource:
    """A source with these users, which is interrupted at the batch of the user with the key `interrupted_at`."""

    def __init__(self, imported, *, interrupted_at=None):
        self.by_key = {user.key: user for user in imported}
        self.interrupted_at = interrupted_at

    def keys(self):
        return sorted(self.by_key)

    def users(self, keys):
        if self.interrupted_at in keys:
            raise KeyboardInterrupt
        return (self.by_key[key] for key in keys)


@pytest.fixture
def run_import():
    def run_import(imported, *, dry_run=False, **options):
        lines = []
        source = ListSource(imported, **options)
        totals = write.import_users(source, name="a test", dry_run=dry_run, output=lines.append)
        return dict(totals), lines

    return run_import


@pytest.fixture
def keys(make_user):
    return [make_user(f"user-{number}@example.com").pk for number in range(5)]


def test_secret_last_time_step_date_and_codes_are_imported(run_import, keys):
    """Users without a confirmed address are counted. They get no emails from the app."""
    EmailAddress.objects.filter(user=keys[1]).update(verified=False)
    user = ImportedUser(keys[0], SECRET, last_time_step=NOW // 30, created_at=LONG_AGO, codes=("00412857", "abcd2345"))
    totals = {"imported": 2, "passkeys": 0, "codes": 2, "refused": 0, "skipped": 0, "unconfirmed": 1}
    assert run_import([user, ImportedUser(keys[1], SECRET)]) == (totals, [])
    row, other = SecondFactor.objects.order_by("user")
    assert (row.user_id, row.app.secret, row.codes_left) == (keys[0], SECRET, 2)
    assert row.created_at == row.app.created_at == LONG_AGO
    assert not row.app.accept(code_at(SECRET, NOW // 30), now=NOW)
    assert row.app.accept(code_at(SECRET, NOW // 30 + 1), now=NOW)
    assert SECRET not in row.app.sealed_secret
    assert not BackupCode.objects.filter(digest__in=user.codes).exists()
    assert not other.has_imported_codes


def test_a_dry_run_has_the_same_output_and_writes_nothing(run_import, keys):
    users = [ImportedUser(keys[0], SECRET, codes=("00412857", "7")), ImportedUser(404, SECRET)]
    dry = run_import(users, dry_run=True)
    assert dry[1][0] == "user 404: cannot be imported: there is no user with this key"
    assert not SecondFactor.objects.exists()
    assert run_import(users) == dry


@pytest.mark.parametrize("dry_run", [True, False])
def test_users_with_2fa_on_here_are_skipped_and_counted(run_import, user, second_factor, dry_run):
    totals, lines = run_import([ImportedUser(user.pk, "B" * 32, codes=("00412857",))], dry_run=dry_run)
    assert (totals["imported"], totals["skipped"], lines) == (0, 1, [])
    second_factor.refresh_from_db()
    assert (second_factor.app.secret, second_factor.codes_left) == (SECRET, 10)


def test_users_who_turn_2fa_on_during_the_import_are_skipped(user, second_factor, keys):
    digest = "0" * 64
    rows = [write.Row(ImportedUser(key, "B" * 32), {digest}, []) for key in (user.pk, keys[0])]
    assert write.create_rows(rows) == rows[1:]
    assert AuthenticatorApp.objects.get(second_factor__user=user).secret == SECRET
    assert BackupCode.objects.filter(digest=digest).count() == 1


def test_a_batch_is_written_in_one_transaction(keys):
    digests = {keys[0]: "0", keys[1]: None}
    rows = [write.Row(ImportedUser(key, SECRET), {digest}, []) for key, digest in digests.items()]
    with pytest.raises(IntegrityError):
        write.create_rows(rows)
    assert not SecondFactor.objects.exists()


def test_codes_that_are_too_short_or_have_an_unknown_hasher_are_not_imported(run_import, keys):
    hashes = (make_password("Ab3dEf9hIj"), "argon9$what$is$this")
    typed = ("1234567", "12345678", "1234 5678")
    totals, (line,) = run_import([ImportedUser(keys[0], SECRET, codes=typed, hashed_codes=hashes)])
    assert totals["codes"] == 2
    assert "not imported: recovery codes that are too short, too long or not ASCII (1)" in line
    assert "not imported: recovery codes whose hasher is not in PASSWORD_HASHERS (1)" in line


def test_an_interrupted_import_continues_when_it_is_run_again(run_import, keys, monkeypatch):
    monkeypatch.setattr(write, "BATCH", 2)
    users = [ImportedUser(key, SECRET) for key in keys]
    with pytest.raises(KeyboardInterrupt):
        run_import(users, interrupted_at=keys[3])
    assert sorted(SecondFactor.objects.values_list("user_id", flat=True)) == keys[:2]
    first = set(SecondFactor.objects.values_list("version", flat=True))
    totals, _ = run_import(users)
    assert (totals["imported"], totals["skipped"]) == (3, 2)
    assert first < set(SecondFactor.objects.values_list("version", flat=True))


def test_more_users_cost_no_more_queries(run_import, keys):
    def count_queries(users):
        with CaptureQueriesContext(connection) as captured:
            run_import(users)
        return len(captured)

    users = [ImportedUser(key, SECRET, codes=("00412857", "abcd2345")) for key in keys]
    assert count_queries(users[:1]) == count_queries(users[1:])


def test_each_user_is_logged_without_codes_and_gets_no_email(run_import, keys, caplog, mailoutbox):
    with caplog.at_level(logging.INFO, "twofactor"):
        run_import([ImportedUser(key, SECRET, codes=("00412857",)) for key in keys])
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"event=imported user={key} source='a test' codes=1" for key in keys]
    assert mailoutbox == []
