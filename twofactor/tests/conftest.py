"""Browsers by the state they are in. Each comes twice, as a plain browser and with htmx in it."""

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
    """Signed out."""
    return new_client(htmx=request.param == "htmx")


@pytest.fixture
def signed_in_client(signed_out_client: Client, user: User) -> Client:
    """Signed in, and 2FA is off."""
    return sign_in(signed_out_client, user)


@pytest.fixture
def client_with_2fa(signed_out_client: Client, user: User, authenticator: Authenticator, secret: str) -> Client:
    """Signed in with a code, so long ago that every code is unused."""
    sign_in(signed_out_client, user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    return signed_out_client


@pytest.fixture
def pending_client(signed_out_client: Client, user: User, authenticator: Authenticator) -> Client:
    """The password was right, a code is owed."""
    give_password(signed_out_client, user)
    return signed_out_client


@pytest.fixture
def parallel_client(pending_client: Client) -> Client:
    """Another request of this browser, whose session is as it was before."""
    session = pending_client.session
    copy = type(session)()
    copy.update(dict(session.items()))
    copy.save()
    parallel_client = new_client()
    parallel_client.cookies[settings.SESSION_COOKIE_NAME] = copy.session_key
    return parallel_client


@pytest.fixture
def request_(rf: RequestFactory, user: User) -> HttpRequest:
    """A POST of the user's, for a form by itself."""
    request = rf.post("/", REMOTE_ADDR="192.0.2.1")
    request.user, request.session = user, SessionStore()
    request.session.create()
    return request


@pytest.fixture
def invalid_code(code_at: Callable[[float], str]) -> str:
    """A code that fits at no time near NOW."""
    fitting = {code_at(NOW + 30 * steps) for steps in range(-20, 400)}
    return next(code for code in map("{:06}".format, range(1000)) if code not in fitting)


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command; return what it says."""

    def run_command(*arguments: str) -> str:
        call_command(*arguments)
        return capsys.readouterr().out

    return run_command
