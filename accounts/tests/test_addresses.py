"""An email address belongs to the account that confirmed it."""

import pytest
from allauth.account.models import EmailAddress

from accounts.addresses import owner_of
from accounts.models import User
from twofactor.tests.helpers import give_password, is_signed_in, new_client

SHARED = "shared@example.com"


@pytest.fixture
def sign_up(db):
    """Make an account that signed up with this address and did not confirm it."""

    def make(email=SHARED, **fields):
        user = User.objects.create_user(email, fields.pop("password", "first-come-first-serve"), **fields)
        EmailAddress.objects.create(user=user, email=email, primary=True)
        return user

    return make


def claim(user, email=SHARED):
    """Add this address to an account without confirming it."""
    return EmailAddress.objects.create(user=user, email=email)


# --- Sign-in --------------------------------------------------------------------------------------


def test_an_address_signs_in_the_account_that_confirmed_it(user, sign_up):
    sign_up()
    EmailAddress.objects.create(user=user, email=SHARED, verified=True)
    assert owner_of(SHARED.upper()) == user


def test_an_address_that_nobody_confirmed_signs_in_the_account_that_signed_up_with_it(user, sign_up):
    owner = sign_up()
    claim(user)
    assert owner_of(SHARED) == owner


def test_an_unconfirmed_address_of_an_account_with_another_one_signs_in_nobody(user):
    claim(user)
    assert owner_of(SHARED) is None
    client = new_client()
    client.post("/accounts/login/", {"login": SHARED, "password": "umbel-4-Quarry-thimble"})
    assert not is_signed_in(client)


def test_one_sign_in_checks_one_password(user, make_user, sign_up, monkeypatch):
    owner = sign_up()
    for number in range(5):
        claim(make_user(f"claimant{number}@example.com"))
    checked = []
    monkeypatch.setattr(User, "check_password", lambda self, password: checked.append(self.pk))
    give_password(new_client(), owner, password="wrong-wrong-wrong")
    assert checked == [owner.pk]
