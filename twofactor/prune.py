"""Rows that nobody can use any more go, a thousand at a time, so that no sign-in waits for the rest."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from twofactor import conf
from twofactor.models import PendingSignIn, SecurityEvent, TrustedBrowser

BATCH = 1000


def prune(*, keep_events: int) -> Iterator[tuple[str, int]]:
    """Delete what is over; yield what it was and how many. Events are kept for so many days, 90 at least."""
    now = timezone.now()
    yield from _sessions(now)
    yield "expired trusted browsers", _delete(TrustedBrowser.objects.filter(expires_at__lte=now))
    over = now - timedelta(seconds=conf.PENDING_SECONDS)
    yield "abandoned sign-ins", _delete(PendingSignIn.objects.filter(began_at__lte=over))
    old = now - timedelta(days=max(keep_events, conf.EVENTS_KEPT_AT_LEAST))
    yield "old security events", _delete(SecurityEvent.objects.filter(created_at__lt=old))


def _sessions(now: datetime) -> Iterator[tuple[str, int]]:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):  # they are no rows, and whatever keeps them sees to their end
        store.clear_expired()
        return
    sessions = store.get_model_class()._default_manager
    yield "expired sessions", _delete(sessions.filter(expire_date__lt=now))
    if apps.is_installed("allauth.usersessions"):
        from allauth.usersessions.models import UserSession

        there = Exists(sessions.filter(session_key=OuterRef("session_key")))
        # At sign-in this row is written before its session is.
        stale = UserSession.objects.filter(~there, created_at__lt=now - timedelta(hours=1))
        yield "listed sessions that ended", _delete(stale)


def _delete(rows: QuerySet[Any]) -> int:
    """Delete these in the order of their keys, so that the table is gone through once; what changes meanwhile stays."""
    deleted, rest = 0, rows.order_by("pk").values_list("pk", flat=True)
    batch = list(rest[:BATCH])
    while batch:
        deleted += rows.filter(pk__in=batch).delete()[0]
        batch = list(rest.filter(pk__gt=batch[-1])[:BATCH])
    return deleted
