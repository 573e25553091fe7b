"""What every page of the site can use in its template."""

from django.conf import settings
from django.http import HttpRequest

from twofactor.stages import is_pending


def site(request: HttpRequest) -> dict[str, object]:
    return {
        "site_url": settings.SITE_URL,
        "source_url": settings.SOURCE_URL,
        "is_pending": lambda: is_pending(request),
    }
