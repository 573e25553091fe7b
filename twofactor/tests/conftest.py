"""Test clients, named after their state. Each test with one runs twice: plain and with htmx."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client, RequestFactory

from accounts.models import User
from conftest import NOW
from twofactor.models import Authenticator
from twofactor.tests.helpers import code_now, give_password, new_client, sign_in


@pytest.fixture(params=["plain", "htmx"])
def signed_out_client(request: pytest.FixtureRequest) -> Client:
    return new_client(htmx=request.param == "htmx")


@pytest.fixture
def signed_in_client(signed_out_client: Client, user: User) -> Client:
    """Signed in; 2FA is off."""
    return sign_in(signed_out_client, user)


@pytest.fixture
def client_with_2fa(signed_out_client: Client, user: User, authenticator: Authenticator, secret: str) -> Client:
    """Signed in with a code; every code is unused again."""
    sign_in(signed_out_client, user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    return signed_out_client


@pytest.fixture
def pending_client(signed_out_client: Client, user: User, authenticator: Authenticator) -> Client:
    """The password was accepted, the second factor is still missing."""
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
def run_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a management command and return its output."""

    def run_command(*arguments: str) -> str:
        call_command(*arguments)
        return capsys.readouterr().out

    return run_command
