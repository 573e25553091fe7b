"""Fixtures of the app's tests: users of the minimal site, and clients that are named after their state."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client, RequestFactory

from twofactor import signals
from twofactor.models import AuthenticatorApp, Passkey, SecondFactor
from twofactor.tests.constants import NOW, PASSWORD
from twofactor.tests.fixtures import *  # noqa: F403 - pytest finds fixtures by their names here
from twofactor.tests.helpers import code_now, give_password, new_client, sign_in
from twofactor.tests.postgresql import TEST_ON_POSTGRESQL, why_unavailable


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten long strings. mutmut could not select an ID from `ids=` that has a backslash."""
    return repr(val[:12]) if isinstance(val, str) and len(val) > 64 else None


def pytest_configure() -> None:
    if settings.ROOT_URLCONF != "twofactor.tests.urls":
        pytest.exit("The app's tests have settings of their own. Run them apart from the site's: pytest twofactor", 4)
    if TEST_ON_POSTGRESQL and (reason := why_unavailable()):
        pytest.exit(f"Skipped on PostgreSQL: twofactor/tests. {reason}", 0)


@pytest.fixture(autouse=True)
def clear_cache() -> None:
    """Clear allauth's limits. The cache is in memory."""
    cache.clear()


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Make a user with a verified address; the password is PASSWORD by default."""

    def make(email: str = "ada@example.com", *, password: str = PASSWORD, **fields: object) -> User:
        name = {"first_name": "Ada", "last_name": "Example"}
        user = User.objects.create_user(email, email, password, **(name | fields))
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
        return user

    return make


@pytest.fixture
def bob(make_user: Callable[..., User]) -> User:
    """Another user, with 2FA on."""
    bob = make_user("bob@example.com")
    AuthenticatorApp.objects.activate(bob, secret="B" * 32)
    return bob


@pytest.fixture
def signed_out_client() -> Client:
    return new_client()


@pytest.fixture
def signed_in_client(signed_out_client: Client, user: User) -> Client:
    return sign_in(signed_out_client, user)


@pytest.fixture
def client_with_2fa(signed_out_client: Client, user: User, second_factor: SecondFactor, secret: str) -> Client:
    """Signed in with a code; every code is unused again."""
    sign_in(signed_out_client, user, code=code_now(secret))
    AuthenticatorApp.objects.update(last_time_step=-1)
    return signed_out_client


@pytest.fixture
def client_with_both(client_with_2fa: Client, passkey: Passkey) -> Client:
    """Signed in with a code, of a user who also has a passkey."""
    session = client_with_2fa.session
    session["twofactor"] = {**session["twofactor"], "version": passkey.second_factor.version}
    session.save()
    return client_with_2fa


@pytest.fixture
def pending_client(signed_out_client: Client, user: User, second_factor: SecondFactor) -> Client:
    give_password(signed_out_client, user)
    return signed_out_client


@pytest.fixture
def parallel_client(pending_client: Client) -> Client:
    """A second client with a copy of the session, for a parallel request."""
    session = pending_client.session
    copy = type(session)()
    copy.update(dict(session.items()))
    copy.save()
    parallel_client = new_client()
    parallel_client.cookies[settings.SESSION_COOKIE_NAME] = copy.session_key
    return parallel_client


@pytest.fixture
def request_(rf: RequestFactory, user: User) -> HttpRequest:
    """A POST request of the user, for a form without a view."""
    request = rf.post("/", REMOTE_ADDR="192.0.2.1")
    request.user = user
    request.session = SessionStore()
    request.session.create()
    return request


@pytest.fixture
def invalid_code(code_at: Callable[[float], str]) -> str:
    """A code that is valid at no time near NOW."""
    valid = {code_at(NOW + 30 * steps) for steps in range(-20, 400)}
    return next(code for code in map("{:06}".format, range(1000)) if code not in valid)


@pytest.fixture
def received() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The signals that were sent so far: name and keyword arguments."""
    received = []
    names = {value: name for name, value in vars(signals).items() if isinstance(value, signals.Signal)}

    def receive(signal: signals.Signal, **named: Any) -> None:
        received.append((names[signal], named))

    for signal in names:
        signal.connect(receive)
    yield received
    for signal in names:
        signal.disconnect(receive)


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a management command and return its output."""

    def run_command(*arguments: str) -> str:
        call_command(*arguments)
        return capsys.readouterr().out

    return run_command
