"""Addresses in the admin: both records of one stay equal, its owner is told, and a taken one is refused in words."""

import logging

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.models import Permission
from django.db.models.signals import pre_save
from django.utils import timezone

from accounts.models import User
from accounts.tests.test_admin import NEW, USERS, prove
from twofactor.tests.helpers import error_codes, is_signed_in, message_levels, new_client, sign_in, sign_in_with_2fa

WANTED = "new@example.com"


@pytest.fixture
def chief(make_user):
    """A superuser who gave the proof."""
    client = sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))
    prove(client)
    return client


def change(client, user, email=WANTED):
    return client.post(f"{USERS}{user.pk}/change/", {"email": email, "full_name": "Changed", "is_active": "on"})


def add(client, email=WANTED):
    return client.post(f"{USERS}add/", {"email": email, "full_name": "New", **NEW})


def records(user):
    """Both records of the user's address, which must say the same."""
    user.refresh_from_db()
    return user.email, [(row.email, row.verified, row.primary) for row in user.emailaddress_set.order_by("email")]


# --- A change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [WANTED, "New@Example.com"])
def test_a_changed_address_is_confirmed_and_the_old_one_is_gone(chief, user, typed):
    assert change(chief, user, typed).status_code == 302
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_a_link_mailed_to_the_old_address_confirms_nothing(chief, user):
    user.emailaddress_set.update(verified=False)
    link = EmailConfirmationHMAC.create(user.emailaddress_set.get()).key
    assert EmailConfirmationHMAC.from_key(link)
    change(chief, user)
    assert EmailConfirmationHMAC.from_key(link) is None


def test_other_confirmed_addresses_of_the_account_stay(chief, user):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    change(chief, user)
    assert records(user) == (WANTED, [(WANTED, True, True), ("second@example.com", True, False)])


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_that_the_account_has_already_becomes_its_first(chief, user, verified):
    EmailAddress.objects.create(user=user, email=WANTED, verified=verified)
    change(chief, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_records_that_differed_are_equal_after_a_change(chief, user):
    User.objects.filter(pk=user.pk).update(email="other@example.com")
    change(chief, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_saving_without_another_address_changes_no_record_of_it_and_ends_no_session(chief, user):
    browser, before = sign_in(new_client(), user), records(user)
    assert change(chief, user, user.email.upper()).status_code == 302
    assert records(user) == before
    assert user.full_name == "Changed"
    assert is_signed_in(browser)


def test_a_change_ends_the_accounts_sessions_and_tells_both_addresses_and_the_log(chief, user, mails_to, caplog):
    browser, old = sign_in(new_client(), user), user.email
    with caplog.at_level(logging.INFO, "accounts"):
        change(chief, user)
    assert not is_signed_in(browser)
    for address in (old, WANTED):
        (mail,) = mails_to(address)
        assert f"from {old} to {WANTED}" in mail.body
        assert "The staff of Twofactor" in mail.body
        assert "127.0.0.1" not in mail.body
    assert f"event=address_changed_by_staff user={user.pk} staff=" in caplog.text


def test_an_unconfirmed_address_that_is_replaced_is_told_nothing(chief, user, mails_to):
    """It may be a stranger's, and the email would name the new one."""
    old = user.email
    user.emailaddress_set.update(verified=False)
    change(chief, user)
    assert not mails_to(old)
    assert len(mails_to(WANTED)) == 1


def test_ones_own_address_is_not_changed_in_the_admin(chief):
    root = User.objects.get(email="root@example.com")
    fields = {"email": WANTED, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert chief.post(f"{USERS}{root.pk}/change/", fields).status_code == 302
    assert records(root) == ("root@example.com", [("root@example.com", True, True)])


@pytest.mark.parametrize("email", ["new@ｅxample.com", f"new@{'.'.join(['İ' * 28] * 6)}.com"])
def test_another_spelling_of_a_mailbox_is_refused_beside_the_field(chief, user, email):
    response = change(chief, user, email)
    assert error_codes(response.context["adminform"].form) == {"email": ["invalid"]}


# --- A new user -----------------------------------------------------------------------------------


def test_a_superuser_vouches_for_the_address_of_a_new_user(chief):
    add(chief)
    assert records(User.objects.get(email=WANTED)) == (WANTED, [(WANTED, True, True)])


def test_other_staff_do_not(make_user):
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["add_user", "change_user"]))
    client = sign_in_with_2fa(clerk)
    prove(client)
    add(client)
    assert records(User.objects.get(email=WANTED)) == (WANTED, [(WANTED, False, True)])


# --- Addresses of others --------------------------------------------------------------------------


@pytest.fixture(params=["confirmed", "signed up with"])
def taken(request, make_user):
    """An address that another account confirmed, or signed up with and is in use."""
    if request.param == "confirmed":
        EmailAddress.objects.create(user=make_user("bob@example.com"), email=WANTED, verified=True)
    else:
        make_user(WANTED, last_login=timezone.now()).emailaddress_set.update(verified=False)


@pytest.mark.parametrize("typed", [WANTED, WANTED.upper()])
def test_an_address_that_another_account_has_is_refused_in_words(chief, user, taken, mails_to, typed):
    before, users = records(user), User.objects.count()
    for page in (change(chief, user, typed), add(chief, typed)):
        assert page.status_code == 200
        assert error_codes(page.context["adminform"].form) == {"email": ["unique"]}
    assert records(user) == before
    assert user.full_name != "Changed"
    assert User.objects.count() == users
    assert not mails_to(WANTED)


@pytest.mark.parametrize("write", [change, lambda client, user: add(client)], ids=["change", "add"])
def test_an_unconfirmed_claim_of_another_account_blocks_nothing_and_is_removed(chief, user, make_user, write):
    stranger = make_user("stranger@example.com")
    EmailAddress.objects.create(user=stranger, email=WANTED)
    write(chief, user)
    assert EmailAddress.objects.get(email=WANTED).user == User.objects.get(email=WANTED)
    assert records(stranger) == ("stranger@example.com", [("stranger@example.com", True, True)])


def test_a_sign_up_that_nobody_used_makes_way_for_a_change(chief, user, make_user):
    make_user(WANTED).emailaddress_set.update(verified=False)
    change(chief, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])
    assert User.objects.filter(email=WANTED).count() == 1


@pytest.mark.parametrize("write", [change, lambda client, user: add(client)], ids=["change", "add"])
def test_an_address_confirmed_at_the_same_moment_is_refused_in_words(chief, user, make_user, mails_to, write):
    bob, before, users = make_user("bob@example.com"), records(user), User.objects.count()

    def confirm_first(sender, instance, **kwargs):
        """What another request commits between the form's check and the save."""
        pre_save.disconnect(confirm_first, User)
        EmailAddress.objects.create(user=bob, email=WANTED, verified=True)

    pre_save.connect(confirm_first, User)
    page = write(chief, user)
    assert page.status_code == 302
    assert message_levels(chief.get(page["Location"])) == ["error"]
    assert records(user) == before
    assert User.objects.count() == users
    assert not mails_to(WANTED)
