"""Rate limits in the cache: per source, setup, session and email address. The account's throttle is in the database."""

import math
import time
from typing import Any

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest

from twofactor import conf


class Source:
    """One try from the IPv4 address or IPv6 /64 of this request. It is charged before the code is checked."""

    RATE = {"code": conf.SOURCE_RATE}

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._usage = ratelimit.consume(request, app="twofactor", action="code", config=self.RATE, limit_get=True)

    @property
    def is_open(self) -> bool:
        return self._usage is not None

    @property
    def wait(self) -> int:
        return seconds_to_wait(self._request, app="twofactor", action="code", config=self.RATE)

    def refund(self) -> None:
        if self._usage:
            self._usage.rollback()


def seconds_to_wait(
    request: HttpRequest, *, app: str, action: str, config: dict[str, str] | None = None, key: str | None = None
) -> int:
    """Return for how many more seconds allauth's rate limit refuses, at least 1. allauth has no function for this."""
    waits = [1]
    for rate in ratelimit.get_rates(app=app, action=action, config=config):
        charged_at = cache.get(ratelimit.get_cache_key(request, app=app, action=action, rate=rate, key=key), [])
        if len(charged_at) >= rate.amount:  # newest first
            waits.append(math.ceil(charged_at[rate.amount - 1] + rate.duration - time.time()))
    return max(waits)


def charge_setup(request: HttpRequest, sealed_secret: str) -> bool:
    """Charge a code typed in a setup; False if no try is left.

    The session counts too, but parallel requests overwrite each other's sessions.
    """
    return _charge(request, "setup", f"{conf.PENDING_TRIES}/{conf.SETUP_SECONDS}s/key", key=sealed_secret)


def charge_email(request: HttpRequest, kind: str, address: str) -> bool:
    """Charge an email that anyone can trigger: three an hour per kind and address. False if it must not be sent."""
    return _charge(request, kind, "3/h/key", key=address.lower())


def claim_password_email(request: HttpRequest, user: Any) -> bool:
    """Return True to one caller an hour, which then emails the owner about wrong passwords."""
    return _charge(request, "password_mail", "1/h/key", key=str(user.pk))


class PasswordTries:
    """The wrong passwords in a row of one signed-in session. Other sessions cannot use them up."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._session = request.session.session_key

    def charge(self) -> bool:
        """Use one of the ten tries before the password is checked; False if none is left."""
        return _charge(self._request, "password", conf.STEP_UP_RATE, key=self._session)

    @property
    def are_used_up(self) -> bool:
        return not _charge(self._request, "password", conf.STEP_UP_RATE, key=self._session, dry_run=True)

    def claim_end(self) -> bool:
        """Return True to one caller, which then records the end of the session."""
        return _charge(self._request, "password_end", "1/1d/key", key=self._session)

    def clear(self) -> None:
        config = {"password": conf.STEP_UP_RATE}
        ratelimit.clear(self._request, app="twofactor", action="password", config=config, key=self._session)


def _charge(request: HttpRequest, action: str, rate: str, *, key: str | None, dry_run: bool = False) -> bool:
    config = {action: rate}
    usage = ratelimit.consume(
        request, app="twofactor", action=action, config=config, key=key, dry_run=dry_run, limit_get=True
    )
    return usage is not None
