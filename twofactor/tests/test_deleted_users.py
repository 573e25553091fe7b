"""A user who is deleted during a request of theirs: no error page, no session, no row.

The tests commit, because SQLite and PostgreSQL check foreign keys at the end of a transaction.
"""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import OperationalError

from twofactor import events
from twofactor.middleware import TwofactorMiddleware
from twofactor.models import AuthenticatorApp, ChangedMeanwhile, SecurityEvent, TrustedBrowser
from twofactor.signals import accepted
from twofactor.tests.constants import LOGIN, SECRET, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client
from twofactor.tests.responses import messages_on, redirect_target

pytestmark = pytest.mark.django_db(transaction=True)


def delete_user(user, **kwargs):
    get_user_model().objects.filter(pk=user.pk).delete()


@pytest.fixture
def deleted_at():
    """Return a function that deletes the user when this signal is sent."""
    connected = []

    def connect(signal):
        signal.connect(delete_user)
        connected.append(signal)

    yield connect
    for signal in connected:
        signal.disconnect(delete_user)


def assert_signed_out(client, response):
    assert redirect_target(response) == LOGIN
    assert not is_signed_in(client)
    assert "This account was deleted." in messages_on(client.get(LOGIN))
    assert not UserSession.objects.exists()
    assert not SecurityEvent.objects.exists()
    assert not [row for row in Session.objects.all() if "_auth_user_id" in row.get_decoded()]


@pytest.mark.database
@pytest.mark.parametrize("htmx", [False, True])
def test_a_sign_in_with_a_password_ends(user, deleted_at, htmx):
    client = new_client(htmx=htmx)
    deleted_at(user_logged_in)
    assert_signed_out(client, give_password(client, user))


@pytest.mark.database
def test_a_sign_in_with_a_code_ends(user, second_factor, secret, pending_client, settings, deleted_at):
    settings.TWOFACTOR_TRUST_DAYS = 30
    deleted_at(accepted)
    response = pending_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    assert_signed_out(pending_client, response)
    assert not TrustedBrowser.objects.exists()


@pytest.mark.database
def test_an_event_is_logged_without_a_row_and_an_email(user, request_, caplog, mailoutbox):
    delete_user(user)
    events.backup_code_used(request_, user, codes_left=3)
    assert f"event=backup_code_used user={user.pk} " in caplog.text
    assert not SecurityEvent.objects.exists()
    assert mailoutbox == []


def test_2fa_cannot_be_turned_on(user):
    delete_user(user)
    with pytest.raises(ChangedMeanwhile):
        AuthenticatorApp.objects.activate(user, secret=SECRET)


def test_other_errors_are_not_answered(user, request_):
    middleware = TwofactorMiddleware(lambda request: None)
    assert middleware.process_exception(request_, OperationalError("locked")) is None
    delete_user(user)
    assert middleware.process_exception(request_, ValueError("a bug")) is None
