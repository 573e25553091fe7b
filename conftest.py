"""Fixtures of the site's tests: and its users. The app's tests have a conftest.py of their own."""

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from config.settings import PASSWORD_HASHERS
from twofactor.tests.constants import PASSWORD
from twofactor.tests.fixtures import *  # noqa: F403 - pytest finds fixtures by their names here
from twofactor.tests.postgresql import TEST_ON_POSTGRESQL, why_unavailable


@pytest.fixture
def make_user(db):
    """Make a user with a verified address; the password is PASSWORD by default."""

    def make(email="ada@example.com", *, password=PASSWORD, full_name="Ada Example", **fields):
        user = User.objects.create_user(email, password, full_name=full_name, **fields)
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
        return user

    return make


@pytest.fixture
def real_hasher(settings):
    """Use the password hashers of the site."""
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS


def pytest_configure() -> None:
    if TEST_ON_POSTGRESQL and (reason := why_unavailable()):
        pytest.exit(f"Skipped on PostgreSQL: accounts/tests, config/tests. {reason}", 0)
