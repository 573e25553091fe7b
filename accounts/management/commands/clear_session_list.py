"""`manage.py clear_session_list`: delete the rows of allauth's session list whose session no longer exists."""

from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand
from django.db.models import Exists, OuterRef
from django.utils import timezone

from twofactor.prune import delete_in_batches


class Command(BaseCommand):
    help = "Deletes entries of the session list whose session no longer exists. Run it after clearsessions."

    def handle(self, *args: Any, **options: Any) -> None:
        session = Session.objects.filter(session_key=OuterRef("session_key"))
        # A sign-in writes this row before it writes the session, so recent rows stay.
        an_hour_ago = timezone.now() - timedelta(hours=1)
        deleted = delete_in_batches(UserSession.objects.filter(~Exists(session), created_at__lt=an_hour_ago))
        self.stdout.write(f"Deleted entries of ended sessions: {deleted}")
