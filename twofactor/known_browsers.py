"""Device cookies (OWASP): the accounts that this browser has signed in to.

A sign-in from any other browser is reported to the owner. A site may also count wrong passwords apart for each known
browser, so that an attacker cannot lock the owner out. The cookie does not replace any credential.

One cookie has all accounts of a browser, newest first, at most ten: a keyed hash and the time of the sign-in for each.
"This wasn't me" makes all other browsers new again, so that the next sign-in of a thief is reported too.
"""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac

from twofactor import times
from twofactor.models import SecurityEvent

MAX_AGE = 365 * 24 * 60 * 60  # seconds after the last sign-in
MAX_ACCOUNTS = 10  # in the cookie, which is then shorter than 650 bytes
DIGEST_LENGTH = 24  # hexadecimal digits, 96 bits. Older cookies have one digest with 64, of which these are the first.
TIME = "@"  # between the digest and the time, in milliseconds. Older cookies have no time.
RESET = "reset:"  # before the digest of an account whose password was reset in this browser, without a sign-in since
SALT = "accounts.known_browsers"  # older than this module: another one would make every cookie invalid


def cookie_name() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def browser_id(request: HttpRequest, user: AbstractBaseUser) -> str:
    """Return the random ID of a browser that has signed in to this account or reset its password, or ""."""
    browser, accounts = _read(request)
    return browser if {_digest(user), _digest_after_reset(user)} & accounts.keys() else ""


def has_signed_in(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Return whether this browser has signed in to this account, and was not signed out by "This wasn't me" since."""
    moment = _read(request)[1].get(_digest(user))
    if moment is None:
        return False
    ended = SecurityEvent.objects.filter(user_id=user.pk, kind=SecurityEvent.Kind.SESSIONS_ENDED)
    return not ended.filter(created_at__gt=times.at(moment / 1000)).exists()


def remember(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Add this account to the cookie after a sign-in, or renew the cookie. The ID of the browser stays."""
    _write(request, response, user, _digest(user), int(timezone.now().timestamp() * 1000) + 1)


def remember_reset(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Make the browser known after a password reset. Its next sign-in is still one from a new browser."""
    if not has_signed_in(request, user):
        _write(request, response, user, _digest_after_reset(user), 0)


def forget(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Remove this account from the cookie, and delete the cookie if it has no other account."""
    browser, accounts = _read(request)
    others = _without(accounts, user)
    if others:
        _set(response, browser, others)
    else:
        response.delete_cookie(cookie_name(), samesite="Lax")


def _read(request: HttpRequest) -> tuple[str, dict[str, int]]:
    """Return the ID of the browser, and the times of the sign-ins by the digests of the accounts, newest first."""
    try:
        browser, *entries = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return "", {}
    pairs = [entry.partition(TIME) for entry in entries]
    return browser, {
        digest if digest.startswith(RESET) else digest[:DIGEST_LENGTH]: int(time or 0) for digest, _, time in pairs
    }


def _write(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser, account: str, time: int) -> None:
    browser, accounts = _read(request)
    others = [*_without(accounts, user).items()][: MAX_ACCOUNTS - 1]
    _set(response, browser or get_random_string(16), {account: time, **dict(others)})


def _without(accounts: dict[str, int], user: AbstractBaseUser) -> dict[str, int]:
    own = {_digest(user), _digest_after_reset(user)}
    return {digest: time for digest, time in accounts.items() if digest not in own}


def _set(response: HttpResponseBase, browser: str, accounts: dict[str, int]) -> None:
    values = [browser, *(f"{digest}{TIME}{time}" if time else digest for digest, time in accounts.items())]
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
