"""Rate limits: a counter for each key and window of time."""

import time

from django.db import IntegrityError, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils.crypto import salted_hmac

CLOSED = 1_000_000  # hits of a limit that takes no more of them, such as the tries of a completed sign-in


class LimitManager(models.Manager["Limit"]):
    def hit(self, key: str, amount: int, seconds: int, *, now: float | None = None) -> bool:
        """Count one hit under this key. Return False, and count nothing, after `amount` hits in `seconds`.

        The first hit begins the window. Up to twice `amount` is therefore possible in a short time around the end of
        a window. `now` is in seconds since 1970; the default is the current time. Do not call this in a transaction,
        because a later error would roll the hit back.
        """
        moment = int(time.time() if now is None else now)
        has_ended = Q(ends_at__lte=moment)
        open_rows = self.filter(has_ended | Q(hits__lt=amount), pk=key)
        # `hits` comes first: MariaDB assigns from left to right, and would read the new `ends_at`.
        counted = {
            "hits": Case(When(has_ended, then=1), default=F("hits") + 1),
            "ends_at": Case(
                When(has_ended, then=Value(moment + seconds)), default="ends_at", output_field=models.BigIntegerField()
            ),
        }
        if open_rows.update(**counted):
            return True
        try:
            with transaction.atomic():
                self.create(pk=key, hits=1, ends_at=moment + seconds)
        except IntegrityError:  # the row is at its limit, or another request has just created it
            return open_rows.update(**counted) == 1
        return True

    def create_once(self, key: str, seconds: int, *, hits: int = 1) -> bool:
        """Create the row of this key. Return False if another request has created it. The key is never used again."""
        try:
            with transaction.atomic():
                self.create(pk=key, hits=hits, ends_at=int(time.time()) + seconds)
        except IntegrityError:
            return False
        return True

    def give_back(self, *keys: str) -> None:
        """Take back one hit under each of these keys, but none of a closed limit."""
        self.filter(pk__in=keys, hits__gt=0, hits__lt=CLOSED).update(hits=F("hits") - 1)

    def clear(self, *keys: str) -> None:
        """Take back every hit under these keys. The rows stay, because a parallel `hit` may count on its row."""
        self.filter(pk__in=keys).update(hits=0)

    def hits_and_wait(self, key: str, *, now: float | None = None) -> tuple[int, int]:
        """Return the hits in this window, and the seconds until it ends."""
        moment = int(time.time() if now is None else now)
        row = self.filter(pk=key, ends_at__gt=moment).values_list("hits", "ends_at").first()
        return (row[0], row[1] - moment) if row else (0, 0)


class Limit(models.Model):
    """The hits under one key in one window of time. The first hit creates the row, and pruning deletes it."""

    key = models.CharField(primary_key=True, max_length=100)
    hits = models.PositiveIntegerField()
    ends_at = models.BigIntegerField(db_index=True)  # Unix time

    objects = LimitManager()

    def __str__(self) -> str:
        return f"limit {self.key}"


def limit_key(name: str, subject: object) -> str:
    """Return a key for Limit: a hash, because the subject may be an address, an IP address or a session key."""
    return f"{name}:{salted_hmac('twofactor.limits', str(subject), algorithm='sha256').hexdigest()}"
