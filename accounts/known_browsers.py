"""A device cookie (OWASP): a browser that has signed in to an account has password tries of its own there.

Wrong passwords are counted by account, for everybody together. Without this, a stranger who types a few of them every
minute keeps the owner out for good. The cookie opens nothing.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string, salted_hmac

from accounts.models import User

MAX_AGE = 365 * 24 * 60 * 60  # seconds
SALT = "accounts.known_browsers"


def cookie_name() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Let this browser have tries of its own for the account, from now on; those it had for another end."""
    if browser_id(request, user):
        return
    response.set_cookie(
        cookie_name(),
        signing.dumps([get_random_string(16), _digest(user)], salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def browser_id(request: HttpRequest, user: User) -> str:
    """Return the name of this browser if it has signed in to the account before, or the empty string."""
    try:
        name, digest = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return ""
    return name if digest == _digest(user) else ""


def attempts_key(user: User, name: str) -> str:
    """The key that wrong passwords for the account are counted by: from a browser of that name, or from all others."""
    return f"user:{user.pk}:{name}"


def _digest(user: User) -> str:
    """A cookie names no account."""
    return salted_hmac(SALT, str(user.pk), algorithm="sha256").hexdigest()
