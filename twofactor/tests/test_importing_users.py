"""Importing: who comes, who cannot and why, cut off and run again. The real packages are in test_importing_sites.py."""

import logging
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.apps.registry import Apps
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from conftest import NOW, SECRET
from twofactor.importing import allauth, django_mfa, django_otp, pair, tables, write
from twofactor.importing.person import Person, base32, base32_of_hex, last_step, read, unfit
from twofactor.models import Authenticator, BackupCode
from twofactor.totp import code_at, time_step_at

HEX = "48656c6c6f21deadbeef48656c6c6f21deadbeef"  # SECRET
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

# --- What is read, purely -------------------------------------------------------------------------


@pytest.mark.parametrize("text, secret", [
    (SECRET, SECRET), (SECRET.lower(), SECRET), ("JBSW Y3DP-" * 8, "JBSWY3DP" * 8),
    ("GEZDGNBVGY3TQOJQGEZA====", "GEZDGNBVGY3TQOJQGEZAAAAAAAAAAAAA"), ("GEZDGNBVGY3TQOI=", None),
    ("GEZDGNBVGY3TQOJ1", None), ("", None), ("é" * 32, None), ("A", None),
])  # fmt: skip
def test_a_secret_is_base32_of_80_bits_or_more(text, secret):
    assert base32(text) == secret


@pytest.mark.parametrize("text, secret", [
    (HEX, SECRET), (HEX.upper(), SECRET), (HEX[:-1], None), ("00" * 9, None), ("zz" * 20, None), ("", None),
])  # fmt: skip
def test_a_secret_of_django_otp_is_hexadecimal(text, secret):
    assert base32_of_hex(text) == secret


def test_a_short_secret_that_is_filled_up_gives_the_codes_it_gave():
    fourteen = "GEZDGNBVGY3TQOJQGEZDGNA="  # 112 bits, the fewest that pyotp takes
    assert [code_at(base32(fourteen), step) for step in range(9)] == [code_at(fourteen, step) for step in range(9)]


@pytest.mark.parametrize("kind, why", [
    ({}, ""), ({"digits": 8}, "8 digits"), ({"period": 60}, "60 seconds"), ({"t0": 1}, "t0"),
])  # fmt: skip
def test_codes_of_another_kind_cannot_be_taken(kind, why):
    assert why in unfit(**kind)
    assert bool(unfit(**kind)) is bool(kind)


def test_whatever_code_may_have_been_used_counts_as_used():
    at = datetime.fromtimestamp(NOW, UTC)
    assert last_step([None, at - timedelta(days=1), at], ahead=1) == NOW // 30 + 1
    assert last_step([None], ahead=1) == -1


@pytest.mark.parametrize("codes", [{"codes": (412857,)}, {"hashed_codes": (None,)}])
def test_a_code_that_is_not_a_string_cannot_be_read(codes):
    assert read(lambda key: Person(key, SECRET, **codes), 1) == Person(1, why_not="its row cannot be read")


# --- Tables as they lie there ---------------------------------------------------------------------


@pytest.fixture
def make_table(db):
    """Make a table like another app's; return its model."""

    def make(table, /, **fields):
        meta = type("Meta", (), {"db_table": table, "app_label": "elsewhere", "apps": Apps()})
        model = type("Row", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
        with connection.cursor() as cursor:
            cursor.execute(connection.schema_editor().table_sql(model)[0])
        return model

    return make


@pytest.fixture
def devices(make_table):
    """django-otp's tables, as its first version made them: without times. Make a device, or one with other values."""
    common = {"user_id": models.BigIntegerField(), "name": models.TextField(), "confirmed": models.BooleanField()}
    numbers = {name: models.BigIntegerField() for name in ("step", "t0", "digits", "tolerance", "drift", "last_t")}
    model = make_table("otp_totp_totpdevice", **common, key=models.TextField(), **numbers)

    def make(user_id, **fields):
        usual = {"step": 30, "t0": 0, "digits": 6, "tolerance": 1, "drift": 0, "last_t": -1, "confirmed": True}
        return model.objects.create(**{"user_id": user_id, "name": "default", "key": HEX, **usual, **fields})

    return make


def person_of(source, key):
    (person,) = source.people([key])
    return person


@pytest.mark.parametrize("fields, why", [
    ({"confirmed": False}, "never confirmed the app"), ({"digits": 8}, "its codes have 8 digits, not 6"),
    ({"step": 60}, "its codes change every 60 seconds, not every 30"),
    ({"t0": 5}, "its time does not begin in 1970 (t0)"),
    ({"key": "no hex"}, "the secret is no secret"),
])  # fmt: skip
def test_a_device_of_django_otp_that_codes_cannot_be_taken_from(devices, fields, why):
    devices(1, **fields)
    assert person_of(django_otp.Source(), 1) == Person(1, why_not=why)


def test_of_two_devices_the_one_used_last_comes_and_the_other_is_told_of(devices):
    devices(1, key="00" * 20, last_t=NOW // 30)
    devices(1, key=HEX, last_t=NOW // 30 + 1)
    devices(1, key="11" * 20, last_t=NOW // 30 + 2, digits=8)
    person = person_of(django_otp.Source(), 1)
    assert (person.secret, person.last_time_step) == (SECRET, NOW // 30 + 1)
    assert person.notes == ("of 3 apps the one used last",)


@pytest.mark.parametrize("drift, notes", [
    (1, ()), (-1, ()), (2, ("their clock is off by 60 s",)), (-3, ("their clock is off by -90 s",)),
])  # fmt: skip
def test_a_clock_that_is_further_off_than_codes_are_looked_for_is_told_of(devices, drift, notes):
    devices(1, drift=drift)
    assert person_of(django_otp.Source(), 1).notes == notes


def test_two_factor_auth_asks_for_the_device_named_default_alone(devices, run_command):
    devices(1, name="spare")
    assert "user 1: could not come: there is no user" in run_command("twofactor", "import", "two-factor-auth")
    from twofactor.importing import two_factor_auth

    assert "no device named default" in person_of(two_factor_auth.Source(), 1).why_not


@pytest.fixture
def allauth_rows(make_table):
    return make_table(
        "mfa_authenticator", user_id=models.BigIntegerField(), type=models.TextField(), data=models.JSONField()
    )


def test_codes_that_came_to_allauth_from_elsewhere_come_along(allauth_rows):
    allauth_rows.objects.create(user_id=1, type="totp", data={"secret": SECRET})
    allauth_rows.objects.create(user_id=1, type="recovery_codes", data={"migrated_codes": ["abc-defgh-12"]})
    person = person_of(allauth.Source(), 1)
    assert (person.secret, person.codes, person.last_time_step) == (SECRET, ("abc-defgh-12",), -1)


@pytest.mark.parametrize("rows, settings_, why", [
    ([("recovery_codes", {})], {}, "has recovery codes only"),
    ([("totp", {"secret": "not base32!"})], {}, "the secret does not open, or is no secret"),
    ([("totp", {})], {}, "the secret does not open, or is no secret"),
    ([("totp", [])], {}, "its row cannot be read"),
    ([("totp", {"secret": SECRET}), ("recovery_codes", {"seed": "s", "used_mask": []})], {}, "its row cannot be read"),
    ([("totp", {"secret": SECRET})], {"MFA_TOTP_DIGITS": 8}, "its codes have 8 digits, not 6"),
    ([("totp", {"secret": SECRET})], {"MFA_TOTP_PERIOD": 60}, "its codes change every 60 seconds, not every 30"),
])  # fmt: skip
def test_an_authenticator_of_allauth_that_cannot_come(allauth_rows, settings, rows, settings_, why):
    for name, value in settings_.items():
        setattr(settings, name, value)
    for kind, data in rows:
        allauth_rows.objects.create(user_id=1, type=kind, data=data)
    assert person_of(allauth.Source(), 1) == Person(1, why_not=why)


@pytest.mark.parametrize("data, why", [
    ({"secret": "mfa1:forged"}, "the secret does not open, or is no secret"), ({"secret": SECRET}, ""),
    ({"secret": None}, "its row cannot be read"),
])  # fmt: skip
def test_a_secret_that_no_key_of_django_mfa_signed_cannot_come(make_table, settings, data, why):
    settings.MFA_SECRET_ENCRYPTION_KEYS = ["k" * 50]
    times = {"created_at": models.DateTimeField(), "last_used_at": models.DateTimeField(null=True)}
    fields = {"user_id": models.BigIntegerField(), "type": models.TextField(), "data": models.JSONField()}
    rows = make_table("django_mfa_authenticator", **fields, **times)
    rows.objects.create(
        user_id=1, type="totp", data={**data, "last_verified_counter": NOW}, created_at=LONG_AGO, last_used_at=None
    )
    person = person_of(django_mfa.source(), 1)
    assert person.why_not == why
    if not why:
        assert (person.secret, person.last_time_step, person.created_at) == (SECRET, NOW, LONG_AGO)


@pytest.fixture
def pair_rows(make_table):
    """The table of the pair, in an app of this label."""

    def make(label="users"):
        return make_table(
            f"{label}_twofactorauth",
            id=models.UUIDField(primary_key=True, default=uuid4),
            user_id=models.BigIntegerField(),
            secret_key=models.TextField(),
            is_enabled=models.BooleanField(default=True),
            backup_codes=models.JSONField(default=list),
            created_at=models.DateTimeField(default=LONG_AGO),
            updated_at=models.DateTimeField(default=LONG_AGO),
        )

    return make


@pytest.mark.parametrize("label", ["users", "my_shop"])
def test_a_row_of_the_pair_is_found_in_any_app(pair_rows, label):
    pair_rows(label).objects.create(user_id=1, secret_key=SECRET, backup_codes=["0A1B2C3D", "00412857"])
    source = pair.Source()
    assert source.keys() == [1]
    person = person_of(source, 1)
    assert (person.secret, person.codes, person.created_at) == (SECRET, ("0A1B2C3D", "00412857"), LONG_AGO)


def test_every_code_that_the_pair_may_have_taken_counts_as_used(pair_rows):
    pair_rows().objects.create(user_id=1, secret_key=SECRET)
    before = time_step_at(time.time())
    assert before + 1 <= person_of(pair.Source(), 1).last_time_step <= time_step_at(time.time()) + 1


@pytest.mark.parametrize("row, why", [
    ({"secret_key": ""}, "it is on, but has no secret"),
    ({"secret_key": "not base32!"}, "the secret is no secret"),
    ({"secret_key": SECRET, "backup_codes": {}}, "its row cannot be read"),
    ({"secret_key": SECRET, "backup_codes": "0A1B2C3D"}, "its row cannot be read"),
    ({"secret_key": SECRET, "backup_codes": [412857]}, "its row cannot be read"),
])  # fmt: skip
def test_a_row_of_the_pair_that_cannot_come(pair_rows, row, why):
    pair_rows().objects.create(user_id=1, **row)
    assert person_of(pair.Source(), 1) == Person(1, why_not=why)


def test_a_secret_that_two_users_of_the_pair_share_cannot_come(pair_rows):
    """Also if one of them never turned it on: the setup showed it to them."""
    rows = pair_rows()
    for user_id, secret, is_enabled in [
        (1, SECRET, True),
        (2, SECRET, True),
        (3, "B" * 32, True),
        (4, "B" * 32, False),
    ]:
        rows.objects.create(user_id=user_id, secret_key=secret, is_enabled=is_enabled)
    shared = "another user has the same secret"
    assert [(person.key, person.why_not) for person in pair.Source().people([1, 3])] == [(1, shared), (3, shared)]
    assert person_of(pair.Source(), 2).why_not == shared


def test_who_did_not_turn_it_on_in_the_pair_is_left_without_a_word(pair_rows):
    pair_rows().objects.create(user_id=1, secret_key="", is_enabled=False)
    source = pair.Source()
    assert source.keys() == []
    assert list(source.people([1])) == []


def test_two_tables_like_the_pairs_are_an_error(pair_rows, run_command):
    pair_rows("shop")
    pair_rows("users")
    with pytest.raises(CommandError, match="shop_twofactorauth, users_twofactorauth"):
        run_command("twofactor", "import", "pair")


def test_no_table_like_the_pairs_is_an_error(db, run_command):
    with pytest.raises(CommandError, match="no table with the columns backup_codes, is_enabled, secret_key, user_id"):
        run_command("twofactor", "import", "pair")


def test_a_table_that_is_not_there_is_an_error(db, run_command):
    for app, name in [
        ("allauth", "mfa_authenticator"),
        ("django-otp", "otp_totp_totpdevice"),
        ("two-factor-auth", "otp_totp_totpdevice"),
        ("django-mfa", "django_mfa_userotp"),
    ]:
        with pytest.raises(CommandError, match=f"There is no table {name} in this database"):
            run_command("twofactor", "import", app)


def test_a_table_of_another_shape_is_an_error(make_table, run_command):
    make_table("mfa_authenticator", user_id=models.BigIntegerField(), type=models.TextField())
    with pytest.raises(CommandError, match="The table mfa_authenticator has no column data"):
        run_command("twofactor", "import", "allauth")


def test_an_adapter_that_cannot_be_asked_is_an_error(allauth_rows, run_command, settings):
    settings.MFA_ADAPTER = "site.Adapter"
    with pytest.raises(CommandError, match=r"cannot be asked without allauth\.mfa in INSTALLED_APPS"):
        run_command("twofactor", "import", "allauth")


@pytest.mark.parametrize("key, kind", [
    (models.AutoField(primary_key=True), models.BigIntegerField),
    (models.UUIDField(primary_key=True, default=str), models.UUIDField),
    (models.CharField(primary_key=True, max_length=9), models.CharField),
])  # fmt: skip
def test_the_key_of_a_user_may_be_a_number_a_uuid_or_a_name(monkeypatch, key, kind):
    monkeypatch.setattr(tables, "get_user_model", lambda: type("User", (), {"_meta": type("Meta", (), {"pk": key})}))
    field = tables.user_key()
    assert type(field) is kind
    assert not field.primary_key


# --- What is written ------------------------------------------------------------------------------


class People:
    """A source that has these people; it breaks off before the one with this key."""

    def __init__(self, people, *, breaks_at=None):
        self.by_key, self.breaks_at = {person.key: person for person in people}, breaks_at

    def keys(self):
        return sorted(self.by_key)

    def people(self, keys):
        if self.breaks_at in keys:
            raise KeyboardInterrupt
        return (self.by_key[key] for key in keys)


@pytest.fixture
def bring():
    """Bring these people over; return the totals, and what was said."""

    def bring(people, *, dry_run=False, **how):
        said = []
        totals = write.bring_over(People(people, **how), name="a test", dry_run=dry_run, say=said.append)
        return dict(totals), said

    return bring


@pytest.fixture
def users(make_user):
    return [make_user(f"user-{number}@example.com").pk for number in range(5)]


def test_people_without_a_confirmed_address_come_and_are_counted(bring, users):
    EmailAddress.objects.filter(user=users[0]).update(verified=False)
    people = [Person(key, SECRET) for key in users[:2]]
    assert bring(people, dry_run=True)[0]["unconfirmed"] == 1
    assert bring(people)[0]["unconfirmed"] == 1
    assert Authenticator.objects.count() == 2


def test_who_comes_has_their_secret_sealed_their_last_step_their_day_and_their_codes(bring, users):
    person = Person(users[0], SECRET, last_time_step=NOW // 30, created_at=LONG_AGO, codes=("00412857", "abcd2345"))
    assert bring([person]) == ({"came": 1, "codes": 2, "stayed": 0, "already": 0}, [])
    row = Authenticator.objects.get()
    assert (row.user_id, row.secret, row.created_at, row.codes_left) == (users[0], SECRET, LONG_AGO, 2)
    assert not row.accept(code_at(SECRET, NOW // 30), now=NOW)
    assert row.accept(code_at(SECRET, NOW // 30 + 1), now=NOW)
    assert SECRET not in row.sealed_secret
    assert not BackupCode.objects.filter(digest__in=person.codes).exists()


def test_who_brings_no_codes_has_none_and_our_own_kind_from_now_on(bring, users):
    bring([Person(users[0], SECRET)])
    assert not Authenticator.objects.get().has_imported_codes


def test_a_dry_run_says_the_same_and_writes_nothing(bring, users):
    people = [Person(users[0], SECRET, codes=("00412857", "7")), Person(users[1], why_not="because")]
    dry = bring(people, dry_run=True)
    assert not Authenticator.objects.exists()
    assert bring(people) == dry


@pytest.mark.parametrize("dry_run", [True, False])
def test_who_has_it_on_here_is_left_alone_and_counted(bring, user, authenticator, backup_codes, dry_run):
    totals, said = bring([Person(user.pk, "B" * 32, codes=("00412857",))], dry_run=dry_run)
    assert (totals["came"], totals["already"], said) == (0, 1, [])
    authenticator.refresh_from_db()
    assert authenticator.secret == SECRET
    assert authenticator.spend_backup_code(backup_codes[0])


def test_who_turns_it_on_here_meanwhile_is_left_alone_too(user, authenticator, users):
    digest = "0" * 64
    rows = [(Person(user.pk, "B" * 32), {digest}, []), (Person(users[0], "B" * 32), {digest}, [])]
    assert write.write(rows) == rows[1:]
    assert Authenticator.objects.get(user=user).secret == SECRET
    assert BackupCode.objects.filter(digest=digest).count() == 1


def test_a_row_without_a_user_cannot_come(bring, db):
    assert bring([Person(404, SECRET)])[1] == ["user 404: could not come: there is no user with this key"]


def test_codes_that_are_too_weak_or_hashed_by_whom_nobody_knows_stay_behind(bring, users):
    hashes = (make_password("Ab3dEf9hIj"), "argon9$what$is$this")
    totals, said = bring([Person(users[0], SECRET, codes=("1234567", "12345678", "1234 5678"), hashed_codes=hashes)])
    assert totals["codes"] == 2
    (line,) = said
    assert "too short or no ASCII stay behind (1)" in line
    assert "a hasher that PASSWORD_HASHERS does not name stay behind (1)" in line


def test_cut_off_and_run_again_it_goes_on(bring, users, monkeypatch):
    monkeypatch.setattr(write, "BATCH", 2)
    people = [Person(key, SECRET) for key in users]
    with pytest.raises(KeyboardInterrupt):
        bring(people, breaks_at=users[3])
    assert sorted(Authenticator.objects.values_list("user_id", flat=True)) == users[:2]
    first = set(Authenticator.objects.values_list("version", flat=True))
    totals, _ = bring(people)
    assert (totals["came"], totals["already"]) == (3, 2)
    assert first < set(Authenticator.objects.values_list("version", flat=True))


def test_a_batch_is_written_whole_or_not_at_all(users, monkeypatch):
    monkeypatch.setattr(BackupCode.objects, "bulk_create", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write.write([(Person(users[0], SECRET), {"0" * 64}, [])])
    assert not Authenticator.objects.exists()


def test_a_person_more_costs_no_query_more(bring, users):
    def queries(people):
        with CaptureQueriesContext(connection) as captured:
            bring(people)
        return len(captured)

    people = [Person(key, SECRET, codes=("00412857", "abcd2345")) for key in users]
    assert queries(people[:1]) == queries(people[1:])


def test_there_is_a_line_in_the_log_for_each_and_no_mail_and_no_code(bring, users, caplog, mailoutbox):
    with caplog.at_level(logging.INFO, "twofactor"):
        bring([Person(key, SECRET, codes=("00412857",)) for key in users])
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"event=imported user={key} source='a test' codes=1" for key in users]
    assert mailoutbox == []
