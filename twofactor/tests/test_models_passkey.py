"""Passkeys as credentials: what the first and the last one do, beside an app and alone, and their counts."""

import pytest

from twofactor import backup_codes as pure
from twofactor.models import AuthenticatorApp, BackupCode, ChangedMeanwhile, Passkey, SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW

pytestmark = pytest.mark.database

add = Passkey.objects.add


def again(user):
    """Read the user again."""
    return type(user).objects.get(pk=user.pk)


@pytest.fixture
def passkey(user, make_passkey):
    """The only credential of the user."""
    add(user, passkey := make_passkey())
    return passkey


# --- Adding and removing --------------------------------------------------------------------------


def test_the_first_passkey_turns_2fa_on_with_ten_backup_codes(user, make_passkey):
    codes = add(user, make_passkey())
    second_factor = SecondFactor.objects.get()
    assert SecondFactor.objects.for_user(user) == second_factor
    assert (len(set(codes)), second_factor.codes_left) == (10, 10)
    assert BackupCode.objects.spend(second_factor, codes[0])
    assert (second_factor.passkey_count, second_factor.has_app, second_factor.credential_count) == (1, False, 1)


def test_a_second_credential_of_either_kind_keeps_the_backup_codes(user, bob, passkey, make_passkey, secret):
    codes = set(BackupCode.objects.values_list("digest", flat=True))
    assert add(user, make_passkey()) == []
    assert AuthenticatorApp.objects.activate(again(user), secret=secret) == []
    assert add(bob, make_passkey()) == []
    assert set(BackupCode.objects.values_list("digest", flat=True)) == codes
    assert [row.credential_count for row in SecondFactor.objects.order_by("pk")] == [2, 3]


def test_every_change_writes_a_new_version(user, passkey, make_passkey):
    versions = {SecondFactor.objects.get().version}
    add(user, make_passkey())
    versions.add(SecondFactor.objects.get().version)
    Passkey.objects.remove(SecondFactor.objects.get(), passkey)
    versions.add(SecondFactor.objects.get().version)
    assert len(versions) == 3


def test_a_new_name_changes_one_passkey_and_is_no_change_of_2fa(user, passkey, make_passkey):
    add(user, make_passkey())
    version = SecondFactor.objects.get().version
    passkey.rename("Laptop")
    assert list(Passkey.objects.order_by("pk").values_list("name", flat=True)) == ["Laptop", "Key"]
    assert SecondFactor.objects.get().version == version


def test_2fa_goes_with_the_last_credential(user, passkey, make_passkey, bob):
    add(user, other := make_passkey())
    second_factor = SecondFactor.objects.for_user(user)
    Passkey.objects.remove(second_factor, passkey)
    assert (second_factor.passkey_count, second_factor.codes_left) == (1, 10)
    assert SecondFactor.objects.for_user(user)
    Passkey.objects.remove(second_factor, other)
    assert SecondFactor.objects.for_user(user) is None
    assert SecondFactor.objects.get() == bob.second_factor
    assert BackupCode.objects.count() == 10


def test_the_app_goes_while_a_passkey_stays(user, second_factor, make_passkey, backup_codes):
    add(user, make_passkey())
    second_factor = SecondFactor.objects.for_user(user)
    assert second_factor.has_app
    assert AuthenticatorApp.objects.remove(second_factor) == []
    assert not AuthenticatorApp.objects.exists()
    assert (second_factor.has_app, second_factor.credential_count) == (False, 1)
    assert BackupCode.objects.spend(second_factor, backup_codes[0])


def test_backup_codes_that_need_the_app_are_replaced_when_it_goes(user, second_factor, make_passkey):
    add(user, make_passkey())
    BackupCode.objects.filter(pk__in=BackupCode.objects.values("pk")[:1]).update(digest=f"{pure.KEYED}{'0' * 64}")
    codes = AuthenticatorApp.objects.remove(SecondFactor.objects.for_user(user))
    assert len(codes) == SecondFactor.objects.get().codes_left == 10
    assert not SecondFactor.objects.get().has_imported_codes


def test_a_change_of_a_stale_object_is_refused(user, passkey, make_passkey, secret):
    stale = again(user)
    assert SecondFactor.objects.for_user(stale)
    AuthenticatorApp.objects.activate(user, secret=secret)
    for change in (
        lambda: add(stale, make_passkey()),
        lambda: Passkey.objects.remove(stale.second_factor, passkey),
        lambda: AuthenticatorApp.objects.remove(stale.second_factor),
    ):
        with pytest.raises(ChangedMeanwhile):
            change()
    assert (Passkey.objects.count(), AuthenticatorApp.objects.count()) == (1, 1)


def test_a_credential_that_any_user_has_is_refused_and_changes_nothing(user, bob, passkey, make_passkey):
    version = bob.second_factor.version
    for owner in (user, bob):
        with pytest.raises(Refused, match=r"^registered$"):
            add(again(owner), make_passkey(credential_id=passkey.credential_id))
        with pytest.raises(Refused, match=r"^registered$"):
            add(again(owner), Passkey.objects.get())
    assert Passkey.objects.get().second_factor == SecondFactor.objects.for_user(user)
    assert SecondFactor.objects.for_user(again(bob)).version == version


def test_a_user_has_at_most_twenty_passkeys(user, make_passkey):
    for _ in range(20):
        add(user, make_passkey())
    with pytest.raises(Refused, match=r"^full$"):
        add(user, make_passkey())
    assert Passkey.objects.count() == SecondFactor.objects.get().passkey_count == 20


def test_an_account_without_passkeys_pays_no_statement_for_them(second_factor, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert (second_factor.has_app, second_factor.passkey_count, second_factor.credential_count) == (True, 0, 1)


# --- Using ----------------------------------------------------------------------------


def use(passkey, count=0, *, synced=False, verified=False):
    return passkey.use(sign_count=count, is_backed_up=synced, is_verified=verified, now=NOW)


def test_a_use_is_recorded(passkey):
    assert use(passkey, 7, synced=True)
    passkey.refresh_from_db()
    assert (passkey.sign_count, passkey.is_backed_up, passkey.last_used_at.timestamp()) == (7, True, NOW)


@pytest.mark.parametrize("eligible, stored, sent, is_older", [
    (False, 0, 0, False), (False, 0, 1, False), (False, 5, 6, False), (False, 5, 5, True), (False, 5, 4, True),
    (False, 5, 0, True), (True, 5, 4, False), (True, 5, 0, False),
])  # fmt: skip
def test_the_count_of_a_device_bound_passkey_has_to_grow(user, make_passkey, eligible, stored, sent, is_older):
    add(user, passkey := make_passkey(is_backup_eligible=eligible, sign_count=stored))
    assert passkey.has_older_count(sent) is is_older
    assert use(passkey, sent) is not is_older


def test_the_backup_eligibility_is_stored_with_a_use(user, make_passkey):
    """That of an imported passkey may not be known before."""
    add(user, passkey := make_passkey(is_backup_eligible=None))
    passkey.is_backup_eligible = True
    assert use(passkey)
    assert Passkey.objects.get().is_backup_eligible


def test_of_two_uses_with_one_count_the_second_is_refused_with_a_stale_row(passkey):
    stale = Passkey.objects.get()
    assert use(passkey, 1)
    assert not use(stale, 1)
    assert not use(stale, 0)


def test_a_removed_passkey_is_refused_with_a_stale_row(passkey):
    stale = Passkey.objects.get()
    Passkey.objects.remove(passkey.second_factor, passkey)
    assert not use(stale)


def test_a_user_who_was_verified_once_stays_so(passkey):
    for verified, expected in [(False, False), (True, True), (False, True)]:
        assert use(passkey, verified=verified)
        passkey.refresh_from_db()
        assert passkey.is_user_verified is expected
