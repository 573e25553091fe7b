"""Migrations keep every row and every code. What they cannot keep, they refuse before they change anything."""

import hmac
from datetime import UTC, datetime
from importlib import import_module

import pytest
from argon2.low_level import Type, hash_secret_raw
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from twofactor import conf
from twofactor.models import AuthenticatorApp, BackupCode, Passkey, SecondFactor
from twofactor.tests.constants import NOW, SECRET

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

PENDING_SIGN_INS, AUTHENTICATOR = "0004_wrong_passwords", "0005_limits"
((_, LATEST),) = MigrationLoader(None).graph.leaf_nodes("twofactor")
migration = import_module("twofactor.migrations.0006_second_factor")
SALT = bytes(range(16))
UNUSED, USED = "0123456789ABCDEF", "FEDCBA9876543210"
DIGITS, USED_DIGITS, HASHED = "00412857", "11111111", "Ab3dEf9hIj"


def migrate(name):
    """Migrate to this migration and return its models."""
    call_command("migrate", "twofactor", name, verbosity=0)
    return MigrationLoader(connection).project_state(("twofactor", name)).apps


def tables():
    """Return the columns and rows of each table of the app."""
    return {table: rows(table) for table in connection.introspection.table_names() if table.startswith("twofactor_")}


def rows(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 - the name comes from the database
        columns = [column[0] for column in cursor.description]
        found = [zip(columns, map(plain, row), strict=True) for row in cursor.fetchall()]
    return sorted(columns), sorted(map(sorted, found))


def plain(value):
    return bytes(value) if isinstance(value, memoryview) else value


def own_digest(code, salt=SALT):
    raw = hash_secret_raw(code.encode(), salt, time_cost=1, memory_cost=1024, parallelism=1, hash_len=32, type=Type.ID)
    return raw.hex()


def imported_digest(code, user):
    key = hmac.digest(SECRET.encode(), f"twofactor: backup codes from another app: {user.pk}".encode(), "sha256")
    return hmac.digest(key, code.encode(), "sha256").hex()


@pytest.fixture
def old_models(transactional_db):
    """Migrate back to the rows of Authenticator. Later return to the latest migration, which other tests need."""
    old_models = migrate(AUTHENTICATOR)
    yield old_models
    if "twofactor_authenticator" in connection.introspection.table_names():
        old_models.get_model("twofactor", "Authenticator").objects.all().delete()  # it may have malformed rows
    migrate(LATEST)


@pytest.fixture
def make_old_row(old_models):
    """Write what the code before this migration wrote."""

    def make_old_row(user, *, salt, digests, used):
        row = old_models.get_model("twofactor", "Authenticator").objects.create(
            user_id=user.pk,
            sealed_secret=conf.keyring().seal(SECRET, owner=str(user.pk)),
            last_time_step=NOW // 30,
            failures=2,
            delayed_until=NOW - 1,
            budget_spent=9,
            budget_began=NOW - 100,
            backup_salt=salt,
            version=f"{user.pk:016}",
            created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        for digest in digests:
            used_at = timezone.now() if digest in used else None
            row.backup_codes.create(digest=digest, used_at=used_at)
        return row

    return make_old_row


@pytest.fixture
def ada(make_old_row, user):
    """A user with the app's own backup codes, a trusted browser and an event."""
    used = own_digest(USED)
    row = make_old_row(user, salt=SALT, digests=[own_digest(UNUSED), used], used=[used])
    user.trusted_browsers.create(digest="d", binding="b", expires_at=timezone.now())
    user.security_events.create(kind="turned_on")
    return row


@pytest.fixture
def bob(make_old_row, make_user):
    """A user with backup codes from another app, two in clear and one hashed like a password."""
    bob = make_user("bob@example.com")
    used = imported_digest(USED_DIGITS, bob)
    digests = [imported_digest(DIGITS, bob), used, make_password(HASHED)]
    return make_old_row(bob, salt=b"", digests=digests, used=[used])


@pytest.fixture
def eve(make_old_row, make_user):
    """A user imported without backup codes."""
    return make_old_row(make_user("eve@example.com"), salt=SALT, digests=[], used=[])


def second_factor_of(old_row):
    return SecondFactor.objects.get(user=old_row.user_id)


def test_unused_codes_are_accepted_and_used_ones_refused(ada, bob, code_at):
    migrate(LATEST)
    of_ada, of_bob = second_factor_of(ada), second_factor_of(bob)
    assert not of_ada.app.accept(code_at(NOW), now=NOW)
    assert of_ada.app.accept(code_at(NOW + 30), now=NOW)
    assert not BackupCode.objects.spend(of_ada, USED)
    assert BackupCode.objects.spend(of_ada, UNUSED)
    assert not BackupCode.objects.spend(of_bob, USED_DIGITS, now=NOW)
    assert BackupCode.objects.spend(of_bob, DIGITS, now=NOW)
    assert BackupCode.objects.spend(of_bob, HASHED, now=NOW)
    assert of_ada.codes_left == of_bob.codes_left == 0


def test_counters_version_and_dates_stay(ada):
    migrate(LATEST)
    second_factor = second_factor_of(ada)
    for name in ("failures", "delayed_until", "budget_spent", "budget_began", "version", "created_at", "updated_at"):
        assert getattr(second_factor, name) == getattr(ada, name)
    assert second_factor.app.created_at == ada.created_at


def test_every_row_is_the_same_after_the_way_there_and_back(ada, bob, eve, old_models):
    before = tables()
    migrate(LATEST)
    migrate(AUTHENTICATOR)
    rows = old_models.get_model("twofactor", "Authenticator").objects
    assert len(rows.get(pk=eve.pk).backup_salt) == 16  # a random one, because an empty salt marks imported codes
    rows.filter(pk=eve.pk).update(backup_salt=SALT)
    assert tables() == before


def test_rows_written_since_are_kept_on_the_way_back(old_models, user):
    migrate(LATEST)
    codes = AuthenticatorApp.objects.activate(user, secret=SECRET, last_time_step=7)
    assert BackupCode.objects.spend(user.second_factor, codes[0])
    migrate(AUTHENTICATOR)
    row = old_models.get_model("twofactor", "Authenticator").objects.get()
    assert (conf.keyring().unseal(row.sealed_secret, owner=str(user.pk)), row.last_time_step) == (SECRET, 7)
    digests = {own_digest(code.replace("-", ""), bytes(row.backup_salt)): code for code in codes}
    assert set(row.backup_codes.values_list("digest", flat=True)) == set(digests)
    used = row.backup_codes.exclude(used_at=None).get()
    assert digests[used.digest] == codes[0]


def test_permissions_of_groups_are_renamed_in_both_directions(old_models):
    group = Group.objects.create(name="support")
    group.permissions.add(Permission.objects.get(codename="delete_authenticator"))
    migrate(LATEST)
    permission = group.permissions.get()
    assert (permission.codename, permission.name) == ("delete_secondfactor", "Can delete second factor")
    assert permission.content_type.model == "secondfactor"
    migrate(AUTHENTICATOR)
    permission = group.permissions.get()
    assert (permission.codename, permission.name) == ("delete_authenticator", "Can delete authenticator")


def test_unused_codes_are_counted_on_the_way_back_to_rows_of_pending_sign_ins(ada):
    before = tables()
    old = migrate(PENDING_SIGN_INS).get_model("twofactor", "Authenticator").objects
    assert old.get().codes_left == 1
    old.update(closed_sign_in="a" * 32, failure_mailed=NOW, reset_granted=NOW)
    migrate(AUTHENTICATOR)
    assert tables() == before


# --- Refusals -------------------------------------------------------------------------------------


def assert_refused(name, user, problem, *, then=None):
    """`then`: migrate to this one again, because later migrations were undone before the refusal."""
    before = tables()
    with pytest.raises(migration.CannotMigrate, match=f"^Cannot migrate user {user.pk}: {problem}. Nothing was"):
        migrate(name)
    if then:
        migrate(then)
    assert tables() == before


def test_a_row_that_cannot_be_carried_over_is_named_and_nothing_is_changed(ada, bob, make_old_row, make_user):
    user = make_user("mallory@example.com")
    for salt, digest, problem in [
        (b"short", own_digest(UNUSED), "malformed salt"),
        (SALT, "x" * 64, "malformed backup code"),
        (SALT, make_password(HASHED), "malformed backup code"),
        (b"", "x" * 64, "malformed backup code"),
    ]:
        row = make_old_row(user, salt=salt, digests=[digest], used=[])
        assert_refused(LATEST, user, problem)
        row.delete()


def test_a_row_that_cannot_be_carried_back_is_named_and_nothing_is_changed(bob, user):
    migrate(LATEST)
    AuthenticatorApp.objects.activate(user, secret=SECRET)
    second_factor = user.second_factor
    for digest, problem in [
        (f"sha256${'0' * 64}", "malformed backup code"),
        (f"argon2id${'0' * 64}", "malformed backup code"),
        (f"password${'x' * 256}", "malformed backup code"),
        (f"argon2id${'0' * 32}${'0' * 64}", "backup codes of two sets"),
        (f"hmac-sha256${'0' * 64}", "backup codes of two sets"),
    ]:
        code = second_factor.backup_codes.create(digest=digest)
        assert_refused(AUTHENTICATOR, user, problem, then=LATEST)
        code.delete()
    second_factor.app.delete()
    assert_refused(AUTHENTICATOR, user, "no authenticator app", then=LATEST)


def test_a_passkey_is_refused_on_the_way_back(user, make_passkey):
    Passkey.objects.add(user, make_passkey())
    assert_refused(AUTHENTICATOR, user, "a passkey")
    Passkey.objects.all().delete()
    SecondFactor.objects.all().delete()


def test_a_refusal_names_twenty_users():
    with pytest.raises(
        migration.CannotMigrate, match=r"^Cannot migrate user 1, 2, .*, 20 and 5 more: malformed salt\."
    ):
        migration.refuse("malformed salt", [*range(25, 0, -1), 1])
