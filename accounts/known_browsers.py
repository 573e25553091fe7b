"""A browser that has signed in to an account has password tries of its own there, which no stranger can use up.

Wrong passwords are counted by address, for everybody together: without this, whoever types a few of them every
minute keeps the owner out for good. What OWASP calls a device cookie; it opens nothing.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string, salted_hmac

AGE = 365 * 24 * 60 * 60  # seconds
SALT = "accounts.known_browsers"


def cookie_name() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def remember(request: HttpRequest, response: HttpResponseBase, login: str) -> None:
    """Let this browser have tries of its own for `login`, from now on; those it had for another end."""
    if known_as(request, login):
        return
    response.set_cookie(
        cookie_name(),
        signing.dumps([get_random_string(16), _digest(login)], salt=SALT),
        max_age=AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def known_as(request: HttpRequest, login: str) -> str:
    """Return the name of this browser if it has signed in as `login` before, or the empty string."""
    try:
        name, digest = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=AGE)
    except (signing.BadSignature, ValueError):
        return ""
    return name if digest == _digest(login) else ""


def _digest(login: str) -> str:
    """A cookie is no place for an address."""
    return salted_hmac(SALT, login.lower(), algorithm="sha256").hexdigest()
