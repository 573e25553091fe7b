"""Users have an email address in lower case, and no username."""

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts.models import User
from twofactor.tests.constants import PASSWORD
from twofactor.tests.helpers import give_password, is_signed_in

pytestmark = pytest.mark.database


def test_an_address_is_required_unique_and_in_lower_case(user):
    assert User.objects.create_user("Bob@Example.com", PASSWORD).email == "bob@example.com"
    with pytest.raises(ValueError, match="address"):
        User.objects.create_user("", PASSWORD)
    for write in (
        lambda: User.objects.create_user("ADA@example.com", PASSWORD),
        lambda: User.objects.filter(pk=user.pk).update(email="Ada@example.com"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()


def test_a_user_is_shown_by_address_or_name_and_has_no_username(user):
    assert (str(user), user.get_full_name(), user.get_short_name()) == ("ada@example.com", "Ada Example", "Ada Example")
    assert User(email="a@b.co").get_short_name() == "a@b.co"
    assert not {"username", "first_name", "last_name"} & {field.name for field in User._meta.get_fields()}


def test_an_inactive_account_cannot_sign_in(client, make_user):
    give_password(client, make_user(is_active=False))
    assert not is_signed_in(client)


def test_createsuperuser_creates_a_superuser_with_a_confirmed_address(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, email="Root@Example.com", full_name="Root", verbosity=0)
    superuser = User.objects.get()
    assert (superuser.email, superuser.is_staff, superuser.is_superuser) == ("root@example.com", True, True)
    address = EmailAddress.objects.get(user=superuser)
    assert (address.email, address.verified, address.primary) == (superuser.email, True, True)
