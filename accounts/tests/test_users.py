"""Users have a case-insensitive email address and a full name, but no username."""

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts.models import User
from conftest import PASSWORD
from twofactor.models import Authenticator
from twofactor.tests.helpers import give_password, is_signed_in, new_client, redirect_target, sign_in


def test_a_user_has_an_address_and_a_name_but_no_username(user):
    assert (str(user), user.get_full_name(), user.get_short_name()) == ("ada@example.com", "Ada Example", "Ada Example")
    assert User(email="a@b.co").get_short_name() == "a@b.co"
    assert not {"username", "first_name", "last_name"} & {field.name for field in User._meta.get_fields()}


@pytest.mark.parametrize("typed", ["ADA@EXAMPLE.COM", "Ada@Example.Com", "ada@example.com"])
def test_an_address_is_stored_in_lower_case(db, typed):
    assert User.objects.create_user(typed, PASSWORD).email == "ada@example.com"


@pytest.mark.parametrize("typed", ["ada@example.com", "ADA@example.com"])
def test_addresses_are_unique_regardless_of_case(user, typed):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(typed, PASSWORD)


def test_the_database_refuses_an_address_that_is_not_lower_case(user):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email="Ada@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User(email="Bob@example.com").save()


@pytest.mark.parametrize("email", ["", None])
def test_a_user_needs_an_address(db, email):
    with pytest.raises(ValueError, match="address"):
        User.objects.create_user(email, PASSWORD)


def test_sign_in_ignores_the_case_of_the_address(user):
    user.email = user.email.upper()
    client = new_client()
    give_password(client, user)
    assert is_signed_in(client)


def test_an_inactive_account_cannot_sign_in(make_user):
    client = new_client()
    give_password(client, make_user(is_active=False))
    assert not is_signed_in(client)


# --- With the authenticator -----------------------------------------------------------------------


@pytest.mark.parametrize("is_on", [False, True])
def test_a_user_is_loaded_with_the_authenticator_in_one_query(user, secret, is_on, django_assert_num_queries):
    if is_on:
        Authenticator.objects.activate(user, secret=secret)
    with django_assert_num_queries(1):
        assert hasattr(User.objects.get(pk=user.pk), "authenticator") is is_on


# --- createsuperuser ------------------------------------------------------------------------------


@pytest.fixture
def superuser(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, email="Root@Example.com", full_name="Root", verbosity=0)
    return User.objects.get()


def test_createsuperuser_creates_a_superuser_with_a_verified_address(superuser):
    assert (superuser.email, superuser.is_staff, superuser.is_superuser) == ("root@example.com", True, True)
    address = EmailAddress.objects.get()
    assert (address.user, address.email, address.verified, address.primary) == (superuser, superuser.email, True, True)


def test_a_new_superuser_signs_in_and_is_redirected_to_the_2fa_setup(superuser):
    client = sign_in(new_client(), superuser)
    assert redirect_target(client.get("/admin/")) == "/accounts/2fa/setup/?next=%2Fadmin%2F"


def test_createsuperuser_refuses_a_taken_address(superuser):
    with pytest.raises((CommandError, IntegrityError)), transaction.atomic():
        call_command("createsuperuser", interactive=False, email="ROOT@example.com", full_name="Root", verbosity=0)
