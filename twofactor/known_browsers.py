"""Device cookies (OWASP): the accounts that this browser has signed in to.

A sign-in from any other browser is reported to the owner. A site may also count wrong passwords apart for each known
browser, so that an attacker cannot lock the owner out. The cookie does not replace any credential.

One cookie has all accounts of a browser, newest first, at most ten, as a keyed hash each.
"""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string, salted_hmac

MAX_AGE = 365 * 24 * 60 * 60  # seconds after the last sign-in
MAX_ACCOUNTS = 10  # in the cookie, which is then shorter than 600 bytes
DIGEST_LENGTH = 24  # hexadecimal digits, 96 bits. Older cookies have one digest with 64, of which these are the first.
RESET = "reset:"  # before the digest of an account whose password was reset in this browser, without a sign-in since
SALT = "accounts.known_browsers"  # older than this module: another one would make every cookie invalid


def cookie_name() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def browser_id(request: HttpRequest, user: AbstractBaseUser) -> str:
    """Return the random ID of a browser that has signed in to this account or reset its password, or ""."""
    browser, accounts = _read(request)
    return browser if {_digest(user), _digest_after_reset(user)} & set(accounts) else ""


def has_signed_in(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Return whether this browser has signed in to this account."""
    return _digest(user) in _read(request)[1]


def remember(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Add this account to the cookie after a sign-in, or renew the cookie. The ID of the browser stays."""
    _write(request, response, user, _digest(user))


def remember_reset(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Make the browser known after a password reset. Its next sign-in is still one from a new browser."""
    if not has_signed_in(request, user):
        _write(request, response, user, _digest_after_reset(user))


def forget(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Remove this account from the cookie, and delete the cookie if it has no other account."""
    browser, accounts = _read(request)
    others = _without(accounts, user)
    if others:
        _set(response, [browser, *others])
    else:
        response.delete_cookie(cookie_name(), samesite="Lax")


def _read(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the ID of the browser, and the digests of its accounts, newest first."""
    try:
        browser, *accounts = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return "", []
    return browser, [each if each.startswith(RESET) else each[:DIGEST_LENGTH] for each in accounts]


def _write(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser, account: str) -> None:
    browser, accounts = _read(request)
    others = _without(accounts, user)
    _set(response, [browser or get_random_string(16), account, *others[: MAX_ACCOUNTS - 1]])


def _without(accounts: list[str], user: AbstractBaseUser) -> list[str]:
    return [each for each in accounts if each not in {_digest(user), _digest_after_reset(user)}]


def _set(response: HttpResponseBase, values: list[str]) -> None:
    response.set_cookie(
        cookie_name(),
        signing.dumps(values, salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _digest(user: AbstractBaseUser) -> str:
    """Return a keyed hash of the account, so that the cookie does not reveal it."""
    return salted_hmac(SALT, str(user.pk), algorithm="sha256").hexdigest()[:DIGEST_LENGTH]


def _digest_after_reset(user: AbstractBaseUser) -> str:
    return RESET + _digest(user)
