"""Address changes in the admin: both records stay consistent, the owner is notified, taken addresses are refused."""

import logging

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.models import Permission
from django.db.models.signals import pre_save
from django.utils import timezone

from accounts.models import User
from accounts.tests.test_admin import NEW, USERS, step_up
from twofactor.tests.helpers import is_signed_in, new_client, sign_in, sign_in_with_2fa
from twofactor.tests.responses import error_codes, message_levels

WANTED = "new@example.com"
CONFIRMED = [(WANTED, True, True)]


@pytest.fixture
def superuser_client(make_user):
    client = sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))
    step_up(client)
    return client


def change(client, user, email=WANTED, *, full_name="Changed"):
    return client.post(f"{USERS}{user.pk}/change/", {"email": email, "full_name": full_name, "is_active": "on"})


def add(client, email=WANTED):
    return client.post(f"{USERS}add/", {"email": email, "full_name": "New", **NEW})


def records(user):
    """Return `User.email` and the `EmailAddress` rows, which must be consistent."""
    user.refresh_from_db()
    return user.email, [(row.email, row.verified, row.primary) for row in user.emailaddress_set.order_by("email")]


# --- A change -------------------------------------------------------------------------------------


def add_address(**fields):
    return lambda user: EmailAddress.objects.create(user=user, **fields)


@pytest.mark.parametrize("prepare, expected", [
    (lambda user: None, CONFIRMED),
    (lambda user: User.objects.filter(pk=user.pk).update(email="other@example.com"), CONFIRMED),
    (add_address(email=WANTED, verified=True), CONFIRMED),
    (add_address(email=WANTED, verified=False), CONFIRMED),
    (add_address(email="second@example.com", verified=True), [*CONFIRMED, ("second@example.com", True, False)]),
], ids=["one address", "inconsistent records", "own confirmed", "own unconfirmed", "further"])  # fmt: skip
def test_a_changed_address_is_confirmed_and_the_old_one_is_deleted(superuser_client, user, prepare, expected):
    prepare(user)
    change(superuser_client, user, WANTED.title())
    assert records(user) == (WANTED, expected)


def test_saving_without_a_new_address_changes_no_record_and_ends_no_session(superuser_client, user):
    browser = sign_in(new_client(), user)
    before = records(user)
    change(superuser_client, user, user.email.upper())
    assert records(user) == before
    assert user.full_name == "Changed"
    assert is_signed_in(browser)


def test_a_changed_address_ends_all_sessions_and_is_emailed_to_both_addresses_and_logged(
    superuser_client, user, emails_to, caplog
):
    browser = sign_in(new_client(), user)
    old = user.email
    caplog.set_level(logging.INFO, "accounts")
    change(superuser_client, user)
    assert not is_signed_in(browser)
    for address in (old, WANTED):
        (email,) = emails_to(address)
        assert f"from {old} to {WANTED}" in email.body
        assert "Our staff changed the email address" in email.body
        assert "127.0.0.1" not in email.body
    assert f"event=address_changed_by_staff user={user.pk} staff=" in caplog.text


def test_a_replaced_unconfirmed_address_gets_no_email_and_its_link_becomes_invalid(superuser_client, user, emails_to):
    """It may belong to a stranger, and the email would contain the new address."""
    old = user.email
    user.emailaddress_set.update(verified=False)
    link = EmailConfirmationHMAC.create(user.emailaddress_set.get()).key
    assert EmailConfirmationHMAC.from_key(link)
    change(superuser_client, user)
    assert EmailConfirmationHMAC.from_key(link) is None
    assert not emails_to(old)
    assert len(emails_to(WANTED)) == 1


def test_superusers_cannot_change_their_own_address_in_the_admin(superuser_client):
    superuser = User.objects.get(email="root@example.com")
    before = records(superuser)
    fields = {"email": WANTED, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    superuser_client.post(f"{USERS}{superuser.pk}/change/", fields)
    assert records(superuser) == before
    assert superuser.full_name == "x"


# --- A new user -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_superuser", [True, False])
def test_the_address_of_a_user_added_by_a_superuser_is_confirmed_and_of_other_staff_is_not(make_user, is_superuser):
    clerk = make_user("clerk@example.com", is_staff=True, is_superuser=is_superuser)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["add_user", "change_user"]))
    client = sign_in_with_2fa(clerk)
    step_up(client)
    assert client.get(f"{USERS}add/").status_code == 200
    add(client)
    assert records(User.objects.get(email=WANTED)) == (WANTED, [(WANTED, is_superuser, True)])


# --- Addresses of others --------------------------------------------------------------------------


@pytest.mark.parametrize("typed, code", [
    ("bob@example.com", "unique"), ("IN.USE@example.com", "unique"), ("new@ｅxample.com", "invalid"),
], ids=["confirmed", "in use", "another spelling"])  # fmt: skip
def test_an_address_of_another_account_shows_an_error_at_the_field(
    superuser_client, user, make_user, emails_to, typed, code
):
    EmailAddress.objects.create(user=make_user("eve@example.com"), email="bob@example.com", verified=True)
    make_user("in.use@example.com", last_login=timezone.now()).emailaddress_set.update(verified=False)
    before = records(user), User.objects.count()
    for page in (change(superuser_client, user, typed), add(superuser_client, typed)):
        assert error_codes(page.context["adminform"].form) == {"email": [code]}
    assert (records(user), User.objects.count()) == before
    assert user.full_name != "Changed"
    assert not emails_to(typed.lower())


def test_unconfirmed_addresses_and_unused_sign_ups_of_others_are_taken_over(superuser_client, user, make_user):
    stranger = make_user("stranger@example.com")
    EmailAddress.objects.create(user=stranger, email=WANTED)
    add(superuser_client)
    assert EmailAddress.objects.get(email=WANTED).user == User.objects.get(email=WANTED)
    assert records(stranger) == ("stranger@example.com", [("stranger@example.com", True, True)])
    EmailAddress.objects.filter(email=WANTED).update(verified=False)
    EmailAddress.objects.create(user=stranger, email=WANTED)
    change(superuser_client, user)
    assert records(user) == (WANTED, CONFIRMED)
    assert EmailAddress.objects.filter(email=WANTED).count() == User.objects.filter(email=WANTED).count() == 1


@pytest.mark.parametrize("write", [change, lambda client, user: add(client)], ids=["change", "add"])
def test_an_address_confirmed_concurrently_is_refused_with_a_message(superuser_client, user, make_user, write):
    bob = make_user("bob@example.com")
    before = records(user), User.objects.count()

    def confirm_concurrently(sender, instance, **kwargs):
        """Simulate another request that commits between validation and save."""
        pre_save.disconnect(confirm_concurrently, User)
        EmailAddress.objects.create(user=bob, email=WANTED, verified=True)

    pre_save.connect(confirm_concurrently, User)
    page = write(superuser_client, user)
    assert message_levels(superuser_client.get(page["Location"])) == ["error"]
    assert (records(user), User.objects.count()) == before
