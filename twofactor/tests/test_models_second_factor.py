"""Changes of 2FA: optimistic locking by version, and what a change undoes. Also the password reset."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from twofactor import backup_codes as pure
from twofactor.models import AuthenticatorApp, BackupCode, ChangedMeanwhile, SecondFactor
from twofactor.tests.constants import NOW
from twofactor.tests.rows import counters, update

pytestmark = pytest.mark.database

OTHER_SECRET = "B" * 32
WEEK = 7 * 24 * 60 * 60
spend = BackupCode.objects.spend


def rows():
    return [list(model.objects.order_by("pk").values()) for model in (SecondFactor, AuthenticatorApp, BackupCode)]


def again(user):
    """Read the user again."""
    return type(user).objects.get(pk=user.pk)


def replace_app(second_factor):
    AuthenticatorApp.objects.activate(second_factor.user, secret=OTHER_SECRET)


CHANGES = [replace_app, SecondFactor.regenerate_backup_codes, SecondFactor.turn_off]


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["a user", "nobody"])
def test_2fa_is_off_by_default_and_reading_creates_no_row(user, of):
    assert SecondFactor.objects.for_user(user if of == "a user" else AnonymousUser()) is None
    assert not SecondFactor.objects.exists()


def test_a_second_factor_that_was_read_with_the_user_costs_no_query(user, second_factor, django_assert_num_queries):
    user = type(user).objects.select_related("second_factor").get()
    with django_assert_num_queries(0):
        assert SecondFactor.objects.for_user(user) == second_factor


def test_the_user_object_knows_of_each_change(user, secret):
    assert SecondFactor.objects.for_user(user) is None
    AuthenticatorApp.objects.activate(user, secret=secret)
    assert SecondFactor.objects.for_user(user).app.secret == secret
    AuthenticatorApp.objects.activate(user, secret=OTHER_SECRET)
    assert SecondFactor.objects.for_user(user).app.secret == OTHER_SECRET
    SecondFactor.objects.for_user(user).turn_off()
    assert SecondFactor.objects.for_user(user) is None


# --- Changes --------------------------------------------------------------------------------------


def test_turning_on_returns_ten_codes_and_stores_no_code_and_no_secret_in_clear(user, secret):
    shown = AuthenticatorApp.objects.activate(user, secret=secret)
    assert len(set(shown)) == 10
    assert all(re.fullmatch(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", code) for code in shown)
    second_factor = SecondFactor.objects.get()
    assert (second_factor.codes_left, second_factor.app.secret) == (10, secret)
    assert len(second_factor.version) == 16
    for hidden in [secret, *shown, *map(pure.normalize, shown)]:
        assert hidden not in str(rows())


def test_the_code_that_turned_2fa_on_is_used(user, secret, code_at):
    AuthenticatorApp.objects.activate(user, secret=secret, last_time_step=NOW // 30)
    app = AuthenticatorApp.objects.get()
    assert [steps for steps in (-1, 0, 1) if app.accept(code_at(NOW + 30 * steps), now=NOW)] == [1]


def test_a_new_phone_replaces_app_codes_version_and_counters(user, second_factor, backup_codes):
    AuthenticatorApp.objects.update(last_time_step=NOW)
    SecondFactor.objects.update(failures=7, delayed_until=NOW + 99, budget_spent=50)
    fresh = AuthenticatorApp.objects.activate(again(user), secret=OTHER_SECRET)
    row = SecondFactor.objects.get()
    assert row.pk == second_factor.pk
    assert row.version != second_factor.version
    assert (row.app.secret, row.app.last_time_step, row.codes_left) == (OTHER_SECRET, -1, 10)
    assert counters(row) == (0, 0, 0)
    assert not spend(row, backup_codes[0])
    assert spend(row, fresh[0])


def test_new_backup_codes_invalidate_the_old_ones_and_keep_the_secret(second_factor, backup_codes, secret):
    assert spend(second_factor, backup_codes[0])
    old = SecondFactor.objects.get()
    fresh = second_factor.regenerate_backup_codes()
    row = SecondFactor.objects.get()
    assert row.version == second_factor.version != old.version
    assert row.updated_at == second_factor.updated_at > old.updated_at
    assert (row.app.secret, row.codes_left) == (secret, 10)
    assert not any(spend(row, code) for code in backup_codes)
    assert all(spend(row, code) for code in fresh)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_stale_object_is_refused_and_changes_nothing(user, bob, second_factor, change):
    stale = again(user).second_factor
    second_factor.regenerate_backup_codes()
    before, version = rows(), stale.version
    with pytest.raises(ChangedMeanwhile):
        change(stale)
    assert rows() == before
    assert (stale.version, SecondFactor.objects.for_user(stale.user)) == (version, stale)


@pytest.mark.parametrize("now_on", [True, False])
def test_turning_on_is_refused_if_another_request_changed_2fa_since_the_user_was_read(user, secret, now_on):
    stale = again(user)
    assert SecondFactor.objects.for_user(stale) is None
    AuthenticatorApp.objects.activate(user, secret=secret)
    if not now_on:
        stale = again(user)
        assert SecondFactor.objects.for_user(stale)
        SecondFactor.objects.get().turn_off()
    before = rows()
    with pytest.raises(ChangedMeanwhile):
        AuthenticatorApp.objects.activate(stale, secret=OTHER_SECRET)
    assert rows() == before


def test_turning_off_deletes_the_rows_of_the_user_only(bob, second_factor):
    second_factor.turn_off()
    assert [len(each) for each in rows()] == [1, 1, 10]
    assert SecondFactor.objects.get().user == bob


def test_staff_turn_2fa_off_at_any_version_and_lock_the_row_before_its_codes(bob, user, second_factor):
    """A change has the same order. Otherwise PostgreSQL would end one of the two transactions, a deadlock."""
    assert SecondFactor.objects.for_user(user)
    second_factor.regenerate_backup_codes()
    with CaptureQueriesContext(connection) as statements:
        assert SecondFactor.objects.turn_off(user)
    writes = [each["sql"] for each in statements if each["sql"].startswith(("UPDATE", "DELETE"))]
    assert writes[0].startswith('UPDATE "twofactor_secondfactor"')
    assert [len(each) for each in rows()] == [1, 1, 10]
    assert SecondFactor.objects.for_user(user) is None
    assert not SecondFactor.objects.turn_off(user)


def test_2fa_is_off_without_a_credential_although_backup_codes_are_left(user, bob, second_factor):
    second_factor = SecondFactor.objects.for_user(user)
    with second_factor.change() as codes:
        second_factor.app.delete()
    assert codes == []
    assert [len(each) for each in rows()] == [1, 1, 10]  # those of Bob
    assert SecondFactor.objects.for_user(user) is None


def test_a_change_that_keeps_the_backup_codes_shows_none(second_factor, backup_codes):
    with second_factor.change() as codes:
        pass
    assert codes == []
    assert spend(second_factor, backup_codes[0])


@pytest.mark.parametrize("is_on", [False, True])
def test_an_error_undoes_a_change(user, secret, is_on):
    if is_on:
        AuthenticatorApp.objects.activate(user, secret=secret)
    second_factor = SecondFactor.objects.first() or SecondFactor(user=user)
    before = rows()

    @second_factor.change()
    def fail():
        AuthenticatorApp.objects.all().delete()
        second_factor.backup_codes.all().delete()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows() == before


# --- The password reset ---------------------------------------------------------------------------


def test_a_password_reset_always_ends_the_delay(second_factor):
    for _ in range(2):
        update(second_factor, failures=9, delayed_until=NOW + 3600)
        second_factor.unlock_after_password_reset()
        assert (*counters(second_factor), second_factor.codes_left) == (0, 0, 0, 10)


def test_a_password_reset_gives_a_locked_account_twenty_tries_once_a_week(second_factor, bob):
    def tries_left(now, of=second_factor):
        of.unlock_after_password_reset(now=now)
        of.refresh_from_db()
        return 100 - of.budget_spent

    update(second_factor, budget_spent=80, budget_began=NOW)
    assert tries_left(NOW) == 20  # grants nothing, because twenty were left before
    update(second_factor, budget_spent=100)
    assert tries_left(NOW) == 20
    update(second_factor, budget_spent=100)
    assert tries_left(NOW + WEEK - 1) == 0
    update(bob.second_factor, budget_spent=100, budget_began=NOW)
    assert tries_left(NOW + 1, of=bob.second_factor) == 20
    assert tries_left(NOW + WEEK) == 20
