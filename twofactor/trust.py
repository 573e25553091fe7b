"""Trusted browsers, off by default: a cookie that stands for a code until it expires or something changes."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from twofactor import conf
from twofactor.models import Authenticator, TrustedBrowser


def cookie_name() -> str:
    return "__Host-trusted" if settings.SESSION_COOKIE_SECURE else "trusted"


def binding(user: Any, authenticator: Authenticator) -> str:
    """What a trusted browser is bound to: another after any change of the password or of 2FA."""
    return salted_hmac("twofactor.trust", f"{user.password}|{authenticator.version}", algorithm="sha256").hexdigest()


def alive(user: Any, authenticator: Authenticator) -> QuerySet[TrustedBrowser]:
    """The user's trusted browsers that still stand for a code."""
    return TrustedBrowser.objects.filter(
        user_id=user.pk, binding=binding(user, authenticator), expires_at__gt=timezone.now()
    )


def is_trusted(request: HttpRequest, user: Any, authenticator: Authenticator) -> bool:
    """True if this browser's cookie stands for a code of this user; says that it was used now."""
    token = request.COOKIES.get(cookie_name(), "")
    if not conf.trust_days() or not token:
        return False
    mine = alive(user, authenticator).filter(digest=TrustedBrowser.digest_of(token))
    return mine.update(last_used_at=timezone.now()) == 1


def trust(request: HttpRequest, response: HttpResponse, user: Any, authenticator: Authenticator) -> None:
    """Trust this browser from now on: the token goes into its cookie, a digest of it into a row."""
    token, days = secrets.token_urlsafe(32), timedelta(days=conf.trust_days())
    TrustedBrowser.objects.create(
        user_id=user.pk,
        digest=TrustedBrowser.digest_of(token),
        binding=binding(user, authenticator),
        user_agent=request.headers.get("User-Agent", "")[:200].replace("\0", ""),
        expires_at=timezone.now() + days,
    )
    response.set_cookie(
        cookie_name(),
        token,
        max_age=days,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
