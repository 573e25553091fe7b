"""Trusted browsers, off by default: a token in a cookie replaces the code.

It is valid until it expires, or until the password or 2FA changes.

One cookie has the tokens of all users of a browser, newest first, at most ten. With a cookie per user, the Cookie
header of a shared computer would grow without bound. A token does not name its user; its row is found by its digest.
"""

import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from twofactor import conf
from twofactor.models import SecondFactor, TrustedBrowser

MAX_TOKENS = 10  # in the cookie, which is then shorter than 500 bytes
SEPARATOR = "."  # not in the alphabet of token_urlsafe()


def cookie_name() -> str:
    return "__Host-trusted" if settings.SESSION_COOKIE_SECURE else "trusted"


def binding(user: AbstractBaseUser, second_factor: SecondFactor) -> str:
    """Return the value that a trusted browser is bound to. It changes with the password and with 2FA."""
    bound_to = f"{user.get_session_auth_hash()}|{second_factor.version}"
    return salted_hmac("twofactor.trust", bound_to, algorithm="sha256").hexdigest()


def valid_browsers(user: AbstractBaseUser, second_factor: SecondFactor) -> QuerySet[TrustedBrowser]:
    """Return the user's trusted browsers that still replace a code."""
    return TrustedBrowser.objects.filter(
        user_id=user.pk, binding=binding(user, second_factor), expires_at__gt=timezone.now()
    )


def tokens_by_digest(request: HttpRequest) -> dict[str, str]:
    """Return the tokens in this browser's cookie, newest first, by their digests."""
    tokens = request.COOKIES.get(cookie_name(), "").split(SEPARATOR)[:MAX_TOKENS]
    return {TrustedBrowser.digest_of(token): token for token in tokens if token}


def is_trusted(request: HttpRequest, user: AbstractBaseUser, second_factor: SecondFactor) -> bool:
    """Return whether a token in this browser's cookie replaces this user's code, and record its use."""
    digests = list(tokens_by_digest(request))
    if not conf.trust_days() or not digests:
        return False
    mine = valid_browsers(user, second_factor).filter(digest__in=digests)
    return mine.update(last_used_at=timezone.now()) > 0


def trust(request: HttpRequest, response: HttpResponse, user: AbstractBaseUser, second_factor: SecondFactor) -> None:
    """Trust this browser: store a new token in its cookie, and the token's digest in a row."""
    token = secrets.token_urlsafe(32)
    days = timedelta(days=conf.trust_days())
    others = other_users_tokens(request, user)
    dropped = tokens_by_digest(request).keys() - others.keys()
    # The cookie loses these tokens, so the list of trusted browsers must not show their rows any longer.
    TrustedBrowser.objects.filter(digest__in=dropped).delete()
    TrustedBrowser.objects.create(
        user_id=user.pk,
        digest=TrustedBrowser.digest_of(token),
        binding=binding(user, second_factor),
        user_agent=request.headers.get("User-Agent", "")[:200].replace("\0", ""),
        expires_at=timezone.now() + days,
    )
    _set(response, [token, *others.values()])


def forget(request: HttpRequest, response: HttpResponse, user: AbstractBaseUser) -> None:
    """Remove this user's tokens from the cookie, and delete the cookie if no other user's token is in it."""
    if not tokens_by_digest(request):
        return
    if others := other_users_tokens(request, user):
        _set(response, [*others.values()])
    else:
        response.delete_cookie(cookie_name(), samesite="Lax")


def _set(response: HttpResponse, tokens: list[str]) -> None:
    response.set_cookie(
        cookie_name(),
        SEPARATOR.join(tokens),
        max_age=timedelta(days=conf.trust_days()),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def other_users_tokens(request: HttpRequest, user: AbstractBaseUser) -> dict[str, str]:
    """Return the unexpired tokens of other users by digest. They stay in the cookie beside a new one of this user."""
    tokens = tokens_by_digest(request)
    rows = TrustedBrowser.objects.filter(digest__in=list(tokens), expires_at__gt=timezone.now())
    unexpired = set(rows.exclude(user_id=user.pk).values_list("digest", flat=True))
    kept = [digest for digest in tokens if digest in unexpired]
    return {digest: tokens[digest] for digest in kept[: MAX_TOKENS - 1]}
