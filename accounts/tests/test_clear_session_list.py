"""`manage.py clear_session_list`: the session list loses the entries of sessions that no longer exist."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.core.management import call_command
from django.utils import timezone

from twofactor.tests.helpers import new_client, sign_in

pytestmark = pytest.mark.database


def add_entry(user, key, **age):
    row = UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent="x")
    UserSession.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(**age))


def test_the_entry_of_an_ended_session_is_deleted_but_not_during_a_sign_in(user, capsys):
    client = sign_in(new_client(), user)
    UserSession.objects.update(created_at=timezone.now() - timedelta(days=3))
    add_entry(user, "ended", hours=2)
    add_entry(user, "not saved yet", minutes=1)
    call_command("clear_session_list")
    assert capsys.readouterr().out == "Deleted entries of ended sessions: 1\n"
    kept = set(UserSession.objects.values_list("session_key", flat=True))
    assert kept == {client.session.session_key, "not saved yet"}
