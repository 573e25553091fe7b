"""What every test stands on: an environment of its own, and the people, keys and clocks that tests share."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings as site_settings

# Each process of a parallel run has its own folder, and with it its own database and cache.
_folder = tempfile.TemporaryDirectory(prefix="twofactor-tests-")
FOLDER = Path(_folder.name)

POSTGRESQL = os.environ.get("TEST_POSTGRESQL", "postgres://postgres@127.0.0.1:5432")
REDIS = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/15")
# The site under the tests themselves is on SQLite and its cache, or on both of these: TEST_PAIR=services.
ON_SERVICES = os.environ.get("TEST_PAIR") == "services"


def keep_to_ourselves(redis: dict[str, Any]) -> None:
    """Give each test keys of its own in a Redis that others use: to empty it would empty theirs too."""
    from config.cache import RedisCache

    cleared = itertools.count(1)
    name = {"prefix": f"{os.getpid()}-0"}
    redis["KEY_FUNCTION"] = lambda key, prefix, version: f"unit:{name['prefix']}:{version}:{key}"
    RedisCache.clear = lambda self: name.update(prefix=f"{os.getpid()}-{next(cleared)}")  # type: ignore[method-assign] # see above


os.environ.update(
    DJANGO_SETTINGS_MODULE="config.settings",
    DEBUG="false",
    SECRET_KEY="not-a-secret-" + "t" * 50,
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    CSRF_TRUSTED_ORIGINS="",
    SITE_URL="http://testserver",
    USE_HTTPS="false",
    DATABASE_URL=f"{POSTGRESQL}/postgres" if ON_SERVICES else f"sqlite:///{FOLDER}/site.sqlite3",
    CACHE_URL=REDIS if ON_SERVICES else "",
    EMAIL_URL="memorymail://",
    DEFAULT_FROM_EMAIL="Twofactor <no-reply@testserver>",
    SENTRY_DSN="",
    TRUSTED_PROXY_COUNT="0",
    TWOFACTOR_KEYS="test:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE=",
    TWOFACTOR_DRIFT_WINDOW="1",
    TWOFACTOR_EXEMPT_PATHS="",
    TWOFACTOR_GRACE_DAYS="0",
    TWOFACTOR_ISSUER="Twofactor",
    TWOFACTOR_REQUIRED="staff",
    TWOFACTOR_TRUST_DAYS="0",
)
# Playwright's sync API keeps an event loop running on the main thread, and there Django refuses the ORM.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

REAL_HASHERS = site_settings.PASSWORD_HASHERS
# 25 ms a password is the point of the real one, and not of the tests that only need somebody signed in.
site_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# The manifest of production is made by collectstatic, which no test needs.
site_settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
# What collectstatic left would be looked through for every client that a test makes.
site_settings.STATIC_ROOT = FOLDER / "no-static"
# A file, since the live server and its tests write from two threads: in memory they lock each other out.
TEST_DATABASE = f"twofactor_unit_{os.getpid()}" if ON_SERVICES else str(FOLDER / "test.sqlite3")
site_settings.DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}
if ON_SERVICES:
    keep_to_ourselves(site_settings.CACHES["default"])
django.setup()
# Neither left here nor set in pyproject.toml: with it pytest-django, in each process of a parallel run, loads
# the settings before this file is read, and with them the .env of whoever runs the tests.
del os.environ["DJANGO_SETTINGS_MODULE"]

# Not at the top: these read the settings that were named just now.
from allauth.account.models import EmailAddress  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.mail import EmailMessage  # noqa: E402

from accounts.models import User  # noqa: E402
from e2e.phone import code_at as rfc_6238  # noqa: E402
from twofactor import mail  # noqa: E402
from twofactor.models import Authenticator  # noqa: E402

NOW = 2_000_000_000
PASSWORD = "umbel-4-Quarry-thimble"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


# --- People and their second factor ---------------------------------------------------------------


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Make a user with a verified address; `password` is PASSWORD unless told."""

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
    """The ten codes, in clear, of the user's second factor, which this turns on."""
    return Authenticator.objects.activate(user, secret=secret)


@pytest.fixture
def authenticator(user: User, backup_codes: list[str]) -> Authenticator:
    return Authenticator.objects.get(user=user)


@pytest.fixture
def code_at(secret: str) -> Callable[[float], str]:
    """The code of `secret` at a Unix time, by an implementation that shares nothing with the site's."""
    return lambda unix_time: rfc_6238(secret, unix_time)


# --- The world around them ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """Neither the limits of one test are the next one's, nor its mails, which leave beside the request."""
    cache.clear()
    yield
    mail.flush()


@pytest.fixture
def mails_to(mailoutbox: list[EmailMessage]) -> Callable[[str], list[EmailMessage]]:
    """The mails that this address got so far, oldest first."""

    def mails(address: str) -> list[EmailMessage]:
        mail.flush()
        return [message for message in mailoutbox if address in message.to]

    return mails


@pytest.fixture
def real_hasher(settings) -> None:
    """Hash passwords as the site does, where that is the point."""
    settings.PASSWORD_HASHERS = REAL_HASHERS


# --- Programs that may be there -------------------------------------------------------------------


@pytest.fixture
def oathtool() -> Callable[[str, float], str]:
    """The code of a base32 secret at a Unix time, by a program that others wrote."""
    program = shutil.which("oathtool")
    if program is None:
        pytest.skip("oathtool is not installed")

    def code(secret: str, unix_time: float) -> str:
        command = [program, "--totp", "--base32", f"--now=@{int(unix_time)}", secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return code


def services_that_do_not_answer() -> str:
    """Why there is no PostgreSQL or no Redis to test with; empty if there are both."""
    import psycopg  # here, since both take longer to import than a test to run
    import redis

    try:
        redis.Redis.from_url(REDIS, socket_timeout=2).ping()
        psycopg.connect(f"{POSTGRESQL}/postgres", connect_timeout=2).close()
    except (redis.RedisError, psycopg.OperationalError) as error:
        return f"PostgreSQL and Redis do not both answer: {error}"
    return ""


def pytest_configure() -> None:
    if ON_SERVICES and (silence := services_that_do_not_answer()):
        pytest.exit(f"Skipped on PostgreSQL and Redis: twofactor/tests, accounts/tests, config/tests. {silence}", 0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("services"):
            item.fixturenames.insert(0, "services")  # type: ignore[attr-defined]
    if ON_SERVICES:
        again = [item for item in items if depends_on_the_pair(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(again)])
        items[:] = again


def depends_on_the_pair(item: pytest.Item) -> bool:
    """True if the test asks the database, and is not the same once more over htmx."""
    asks = item.get_closest_marker("django_db") or "db" in getattr(item, "fixturenames", ())
    return bool(asks) and "htmx" not in getattr(getattr(item, "callspec", None), "params", {}).values()


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """The environment of a site on PostgreSQL and Redis, with a database of its own."""
    import psycopg
    from psycopg import sql

    if silence := services_that_do_not_answer():
        pytest.skip(silence)
    name = f"twofactor_test_{os.getpid()}"
    with closing(psycopg.connect(f"{POSTGRESQL}/postgres", autocommit=True)) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield {"DATABASE_URL": f"{POSTGRESQL}/{name}", "CACHE_URL": f"{REDIS}?key_prefix={name}"}
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
