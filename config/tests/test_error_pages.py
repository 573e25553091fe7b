"""Error pages of a database that is unreachable or locked."""

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import IntegrityError, InterfaceError, OperationalError

from twofactor.tests.helpers import new_client

pytestmark = pytest.mark.django_db


def fail(*errors):
    """Raise the last of these errors while the one before it is handled, and so on."""
    *before, last = errors
    try:
        if before:
            fail(*before)
    finally:
        raise last


@pytest.mark.parametrize("errors, status", [
    ([OperationalError("database is locked")], 503),
    ([InterfaceError("connection already closed")], 503),
    ([OperationalError("database is locked"), UpdateError(), SessionInterrupted("deleted")], 503),
    ([OperationalError("database is locked"), KeyError("x")], 503),
    ([UpdateError(), SessionInterrupted("deleted")], 400),
    ([IntegrityError("duplicate")], 500),
    ([KeyError("x")], 500),
])  # fmt: skip
def test_only_an_unreachable_or_locked_database_is_a_503(monkeypatch, errors, status):
    monkeypatch.setattr("config.views.render", lambda *args, **kwargs: fail(*errors))
    response = new_client(raise_request_exception=False).get("/")
    assert response.status_code == status
    assert ("Retry-After" in response) is (status == 503)
    assert b'<section id="panel"' in response.content
    assert b"locked" not in response.content
