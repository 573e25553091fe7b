"""Delete the app's rows that have expired, in batches, so that no other request waits long for the table."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from twofactor import conf
from twofactor.models import Limit, SecurityEvent, TrustedBrowser
from twofactor.models.event import SIGN_INS

BATCH = 1000


def prune() -> Iterator[tuple[str, int]]:
    """Delete expired rows of this app. Yield the name of each kind of row and how many were deleted.

    Security events are kept for TWOFACTOR_EVENT_DAYS, but at least for conf.EVENTS_KEPT_AT_LEAST. The last sign-in of a
    user is kept as long as the account: without it, the next one would be reported to nobody. Sessions belong to the
    site, whose `clearsessions` deletes them.
    """
    now = timezone.now()
    yield "expired trusted browsers", delete_in_batches(TrustedBrowser.objects.filter(expires_at__lte=now))
    yield "expired limits", delete_in_batches(Limit.objects.filter(ends_at__lte=int(now.timestamp())))
    events_expired = now - timedelta(days=max(conf.event_days(), conf.EVENTS_KEPT_AT_LEAST))
    sign_ins = SecurityEvent.objects.filter(kind__in=SIGN_INS)
    later = sign_ins.filter(user=OuterRef("user"), pk__gt=OuterRef("pk"))
    old = SecurityEvent.objects.filter(~Q(kind__in=SIGN_INS) | Exists(later), created_at__lt=events_expired)
    yield "old security events", delete_in_batches(old)


def delete_in_batches(rows: QuerySet[Model]) -> int:
    """Delete these rows in the order of their keys, and return how many. A row that no longer matches stays."""
    deleted = 0
    keys = rows.order_by("pk").values_list("pk", flat=True)
    batch = list(keys[:BATCH])
    while batch:
        deleted += rows.filter(pk__in=batch).delete()[0]
        batch = list(keys.filter(pk__gt=batch[-1])[:BATCH])
    return deleted
