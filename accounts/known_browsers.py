"""Device cookies (OWASP): a browser that has signed in to an account has its own limit of wrong passwords there.

All other browsers share one limit for each account. Without device cookies, an attacker who types a few wrong passwords
every minute would lock the owner out. The cookie does not replace any credential.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string, salted_hmac

from accounts.models import User
from twofactor.limits import Tries
from twofactor.models.limit import limit_key

RATE = (20, 5 * 60)  # wrong passwords, and seconds
MAX_AGE = 365 * 24 * 60 * 60  # seconds
SALT = "accounts.known_browsers"


def cookie_name() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Set the device cookie for this account, unless the browser has it. It replaces that of another account."""
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
    """Return the random ID of a browser that has signed in to this account, or the empty string."""
    try:
        browser, digest = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return ""
    return browser if digest == _digest(user) else ""


def tries(user: User, browser: str) -> Tries:
    """Return the tries of wrong passwords of this account; an empty `browser` means all unknown browsers."""
    return Tries(limit_key("passwords_account", f"{user.pk}:{browser}"), *RATE)


def _digest(user: User) -> str:
    """Return a keyed hash of the account, so that the cookie does not reveal it."""
    return salted_hmac(SALT, str(user.pk), algorithm="sha256").hexdigest()
