"""Fixtures that all tests share: users, their second factor, and the email they receive."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.core.mail import EmailMessage

from accounts.models import User
from config.settings import PASSWORD_HASHERS
from config.settings_test import TEST_ON_POSTGRESQL, TEST_POSTGRESQL, TEST_REDIS
from twofactor import mail
from twofactor.models import Authenticator
from twofactor.tests import rfc6238

NOW = 2_000_000_000
PASSWORD = "umbel-4-Quarry-thimble"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


# --- Users and their second factor ----------------------------------------------------------------


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Make a user with a verified address; the password is PASSWORD by default."""

    def make(
        email: str = "ada@example.com",
        *,
        password: str = PASSWORD,
        full_name: str = "Ada Example",
        **fields: object,
    ) -> User:
        user = User.objects.create_user(email, password, full_name=full_name, **fields)
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
        return user

    return make


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user()


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def backup_codes(user: User, secret: str) -> list[str]:
    """Turn 2FA on for the user, and return the ten backup codes in clear."""
    return Authenticator.objects.activate(user, secret=secret)


@pytest.fixture
def authenticator(user: User, backup_codes: list[str]) -> Authenticator:
    return Authenticator.objects.get(user=user)


@pytest.fixture
def code_at(secret: str) -> Callable[[float], str]:
    """The code of `secret` at a Unix time, from an implementation that is independent of the app."""
    return lambda unix_time: rfc6238.code_at(secret, unix_time)


# --- Isolation and emails -------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def isolate_limits_and_emails() -> Iterator[None]:
    """Clear the limits before each test, and wait for its emails, which are sent in a thread."""
    cache.clear()
    yield
    mail.flush()


@pytest.fixture
def emails_to(mailoutbox: list[EmailMessage]) -> Callable[[str], list[EmailMessage]]:
    """Return the emails sent to an address so far, oldest first."""

    def emails(address: str) -> list[EmailMessage]:
        mail.flush()
        return [message for message in mailoutbox if address in message.to]

    return emails


@pytest.fixture
def real_hasher(settings) -> None:
    """Use the password hashers of the site."""
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS


# --- Optional programs and services ---------------------------------------------------------------


@pytest.fixture
def oathtool() -> Callable[[str, float], str]:
    """The code of a base32 secret at a Unix time, from oathtool."""
    program = shutil.which("oathtool")
    if program is None:
        pytest.skip("oathtool is not installed")

    def code(secret: str, unix_time: float) -> str:
        command = [program, "--totp", "--base32", f"--now=@{int(unix_time)}", secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return code


def unavailable_services() -> str:
    """Return why PostgreSQL or Redis cannot be used, or "" if both are available."""
    import psycopg  # imported here, since both are slow to import
    import redis

    try:
        redis.Redis.from_url(TEST_REDIS, socket_timeout=2).ping()
        psycopg.connect(f"{TEST_POSTGRESQL}/postgres", connect_timeout=2).close()
    except (redis.RedisError, psycopg.OperationalError) as error:
        return f"PostgreSQL and Redis are not both available: {error}"
    return ""


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten long strings. mutmut could not select an ID from `ids=` that has a backslash."""
    return repr(val[:12]) if isinstance(val, str) and len(val) > 64 else None


def pytest_configure() -> None:
    if TEST_ON_POSTGRESQL and (reason := unavailable_services()):
        pytest.exit(f"Skipped on PostgreSQL and Redis: twofactor/tests, accounts/tests, config/tests. {reason}", 0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("services"):
            item.fixturenames.insert(0, "services")  # type: ignore[attr-defined]
    if TEST_ON_POSTGRESQL:
        selected = [item for item in items if is_run_on_services(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(selected)])
        items[:] = selected


def is_run_on_services(item: pytest.Item) -> bool:
    """Return whether the test uses the database and is not the htmx variant of another test."""
    uses_database = item.get_closest_marker("django_db") or "db" in getattr(item, "fixturenames", ())
    return bool(uses_database) and "htmx" not in getattr(getattr(item, "callspec", None), "params", {}).values()


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """The environment of a site on PostgreSQL and Redis, with its own database."""
    import psycopg
    from psycopg import sql

    if reason := unavailable_services():
        pytest.skip(reason)
    name = f"twofactor_test_{os.getpid()}"
    with closing(psycopg.connect(f"{TEST_POSTGRESQL}/postgres", autocommit=True)) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield {"DATABASE_URL": f"{TEST_POSTGRESQL}/{name}", "CACHE_URL": f"{TEST_REDIS}?key_prefix={name}"}
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
