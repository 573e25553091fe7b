"""Address changes in the admin: both records stay consistent, the owner is notified, taken addresses are refused."""

import logging

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.models import Permission
from django.db.models.signals import pre_save
from django.utils import timezone

from accounts.models import User
from accounts.tests.test_admin import NEW, USERS, step_up
from twofactor.tests.helpers import error_codes, is_signed_in, message_levels, new_client, sign_in, sign_in_with_2fa

WANTED = "new@example.com"


@pytest.fixture
def superuser_client(make_user):
    """A superuser who has passed step-up."""
    client = sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))
    step_up(client)
    return client


def change(client, user, email=WANTED):
    return client.post(f"{USERS}{user.pk}/change/", {"email": email, "full_name": "Changed", "is_active": "on"})


def add(client, email=WANTED):
    return client.post(f"{USERS}add/", {"email": email, "full_name": "New", **NEW})


def records(user):
    """Return `User.email` and the `EmailAddress` rows, which must be consistent."""
    user.refresh_from_db()
    return user.email, [(row.email, row.verified, row.primary) for row in user.emailaddress_set.order_by("email")]


# --- A change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [WANTED, "New@Example.com"])
def test_a_changed_address_is_confirmed_and_the_old_one_is_deleted(superuser_client, user, typed):
    assert change(superuser_client, user, typed).status_code == 302
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_a_link_emailed_to_the_old_address_becomes_invalid(superuser_client, user):
    user.emailaddress_set.update(verified=False)
    link = EmailConfirmationHMAC.create(user.emailaddress_set.get()).key
    assert EmailConfirmationHMAC.from_key(link)
    change(superuser_client, user)
    assert EmailConfirmationHMAC.from_key(link) is None


def test_other_confirmed_addresses_of_the_account_stay(superuser_client, user):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    change(superuser_client, user)
    assert records(user) == (WANTED, [(WANTED, True, True), ("second@example.com", True, False)])


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_that_the_account_already_has_becomes_primary(superuser_client, user, verified):
    EmailAddress.objects.create(user=user, email=WANTED, verified=verified)
    change(superuser_client, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_a_change_makes_inconsistent_records_consistent(superuser_client, user):
    User.objects.filter(pk=user.pk).update(email="other@example.com")
    change(superuser_client, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])


def test_saving_without_a_new_address_changes_no_record_and_ends_no_session(superuser_client, user):
    browser = sign_in(new_client(), user)
    before = records(user)
    assert change(superuser_client, user, user.email.upper()).status_code == 302
    assert records(user) == before
    assert user.full_name == "Changed"
    assert is_signed_in(browser)


def test_a_changed_address_ends_all_sessions_and_is_emailed_to_both_addresses_and_logged(
    superuser_client, user, emails_to, caplog
):
    browser = sign_in(new_client(), user)
    old = user.email
    with caplog.at_level(logging.INFO, "accounts"):
        change(superuser_client, user)
    assert not is_signed_in(browser)
    for address in (old, WANTED):
        (email,) = emails_to(address)
        assert f"from {old} to {WANTED}" in email.body
        assert "The staff of Twofactor" in email.body
        assert "127.0.0.1" not in email.body
    assert f"event=address_changed_by_staff user={user.pk} staff=" in caplog.text


def test_a_replaced_unconfirmed_address_gets_no_email(superuser_client, user, emails_to):
    """It may belong to a stranger, and the email would contain the new address."""
    old = user.email
    user.emailaddress_set.update(verified=False)
    change(superuser_client, user)
    assert not emails_to(old)
    assert len(emails_to(WANTED)) == 1


def test_superusers_cannot_change_their_own_address_in_the_admin(superuser_client):
    superuser = User.objects.get(email="root@example.com")
    fields = {"email": WANTED, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert superuser_client.post(f"{USERS}{superuser.pk}/change/", fields).status_code == 302
    assert records(superuser) == ("root@example.com", [("root@example.com", True, True)])


@pytest.mark.parametrize("email", ["new@ｅxample.com", f"new@{'.'.join(['İ' * 28] * 6)}.com"])
def test_another_spelling_of_a_mailbox_shows_an_error_at_the_field(superuser_client, user, email):
    response = change(superuser_client, user, email)
    assert error_codes(response.context["adminform"].form) == {"email": ["invalid"]}


# --- A new user -----------------------------------------------------------------------------------


def test_the_address_of_a_user_added_by_a_superuser_is_confirmed(superuser_client):
    add(superuser_client)
    assert records(User.objects.get(email=WANTED)) == (WANTED, [(WANTED, True, True)])


def test_the_address_of_a_user_added_by_other_staff_is_not_confirmed(make_user):
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["add_user", "change_user"]))
    client = sign_in_with_2fa(clerk)
    step_up(client)
    add(client)
    assert records(User.objects.get(email=WANTED)) == (WANTED, [(WANTED, False, True)])


# --- Addresses of others --------------------------------------------------------------------------


@pytest.fixture(params=["confirmed", "signed up with"])
def taken(request, make_user):
    """An address that another account confirmed, or that an account in use signed up with."""
    if request.param == "confirmed":
        EmailAddress.objects.create(user=make_user("bob@example.com"), email=WANTED, verified=True)
    else:
        make_user(WANTED, last_login=timezone.now()).emailaddress_set.update(verified=False)


@pytest.mark.parametrize("typed", [WANTED, WANTED.upper()])
def test_an_address_of_another_account_shows_an_error_at_the_field(superuser_client, user, taken, emails_to, typed):
    before = records(user)
    users = User.objects.count()
    for page in (change(superuser_client, user, typed), add(superuser_client, typed)):
        assert page.status_code == 200
        assert error_codes(page.context["adminform"].form) == {"email": ["unique"]}
    assert records(user) == before
    assert user.full_name != "Changed"
    assert User.objects.count() == users
    assert not emails_to(WANTED)


@pytest.mark.parametrize("write", [change, lambda client, user: add(client)], ids=["change", "add"])
def test_an_unconfirmed_address_of_another_account_is_taken_over(superuser_client, user, make_user, write):
    stranger = make_user("stranger@example.com")
    EmailAddress.objects.create(user=stranger, email=WANTED)
    write(superuser_client, user)
    assert EmailAddress.objects.get(email=WANTED).user == User.objects.get(email=WANTED)
    assert records(stranger) == ("stranger@example.com", [("stranger@example.com", True, True)])


def test_a_change_takes_over_the_address_of_an_unused_sign_up(superuser_client, user, make_user):
    make_user(WANTED).emailaddress_set.update(verified=False)
    change(superuser_client, user)
    assert records(user) == (WANTED, [(WANTED, True, True)])
    assert User.objects.filter(email=WANTED).count() == 1


@pytest.mark.parametrize("write", [change, lambda client, user: add(client)], ids=["change", "add"])
def test_an_address_confirmed_concurrently_is_refused_with_a_message(
    superuser_client, user, make_user, emails_to, write
):
    bob = make_user("bob@example.com")
    before = records(user)
    users = User.objects.count()

    def confirm_concurrently(sender, instance, **kwargs):
        """Simulate another request that commits between validation and save."""
        pre_save.disconnect(confirm_concurrently, User)
        EmailAddress.objects.create(user=bob, email=WANTED, verified=True)

    pre_save.connect(confirm_concurrently, User)
    page = write(superuser_client, user)
    assert page.status_code == 302
    assert message_levels(superuser_client.get(page["Location"])) == ["error"]
    assert records(user) == before
    assert User.objects.count() == users
    assert not emails_to(WANTED)
