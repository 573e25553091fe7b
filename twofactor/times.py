"""Times of the clock as Django stores them."""

from datetime import UTC, datetime

from django.conf import settings


def at(seconds: float) -> datetime:
    """Return the time at these seconds since 1970: aware, or naive and local if USE_TZ is off."""
    return datetime.fromtimestamp(seconds, UTC if settings.USE_TZ else None)
