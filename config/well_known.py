"""Addresses that browsers, password managers and security researchers look up. Middleware calls them, not urls.py."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

DEFAULT_LIFETIME = timedelta(days=180)


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Say where to report a vulnerability (RFC 9116)."""
    fields = {
        "Contact": contact(),
        "Expires": expires().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Preferred-Languages": "en",
        "Canonical": f"{settings.SITE_URL}{request.path}",
        "Policy": f"{settings.SITE_URL}{reverse('security')}",
    }
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def contact() -> str:
    """Return SECURITY_CONTACT as a URL. An email address becomes `mailto:`."""
    name: str = settings.SECURITY_CONTACT
    return name if ":" in name else f"mailto:{name}"


def expires() -> datetime:
    """Return SECURITY_EXPIRES in UTC. By default, and if it is not a date, return the day in six months."""
    try:
        return expiry_in_settings()
    except (OverflowError, ValueError):
        return datetime.now(UTC).replace(hour=0, minute=0, second=0) + DEFAULT_LIFETIME


def expiry_in_settings() -> datetime:
    """Return SECURITY_EXPIRES in UTC. Raise ValueError or OverflowError if it is not a date."""
    at = datetime.fromisoformat(settings.SECURITY_EXPIRES)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


@require_safe
def change_password(request: HttpRequest) -> HttpResponse:
    """Redirect password managers to the form (W3C, "A Well-Known URL for Changing Passwords")."""
    return HttpResponseRedirect(reverse("account_change_password"))
