"""`manage.py clear_session_list`: the session list loses the entries of sessions that no longer exist."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from twofactor.tests.helpers import new_client, sign_in


def listed(user, key, **age):
    row = UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent="x")
    UserSession.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(**age))
    return row


def run(capsys):
    call_command("clearsessions")
    call_command("clear_session_list")
    return capsys.readouterr().out


def test_the_entry_of_an_ended_session_is_deleted_but_not_during_a_sign_in(user, capsys):
    client = sign_in(new_client(), user)
    UserSession.objects.update(created_at=timezone.now() - timedelta(days=3))
    listed(user, "gone", hours=2)
    signing_in = listed(user, "not saved yet", minutes=1)
    assert run(capsys) == "Deleted entries of ended sessions: 1\n"
    kept = set(UserSession.objects.values_list("session_key", flat=True))
    assert kept == {client.session.session_key, signing_in.session_key}


def test_an_expired_session_is_deleted_with_its_entry(user, capsys):
    sign_in(new_client(), user)
    UserSession.objects.update(created_at=timezone.now() - timedelta(days=30))
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    assert run(capsys) == "Deleted entries of ended sessions: 1\n"
    assert not Session.objects.exists()
    assert not UserSession.objects.exists()
