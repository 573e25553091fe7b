"""The limit by source, over all accounts. It lives in the cache; the account's own limits are in the database."""

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from twofactor import conf

SOURCE_WAIT = 10 * 60  # seconds


class Source:
    """One try from this request's IPv4 address or IPv6 /64, charged before the code is looked at."""

    def __init__(self, request: HttpRequest) -> None:
        self._usage = ratelimit.consume(
            request, app="twofactor", action="code", config={"code": conf.SOURCE_RATE}, limit_get=True
        )

    @property
    def is_open(self) -> bool:
        return self._usage is not None

    def refund(self) -> None:
        if self._usage:
            self._usage.rollback()


def setup_try(request: HttpRequest, sealed_secret: str) -> bool:
    """Charge a code typed in this setup. The session counts too, but of requests at once it keeps the last one's."""
    rate = {"setup": f"{conf.PENDING_TRIES}/{conf.SETUP_SECONDS}s/key"}
    return ratelimit.consume(request, app="twofactor", action="setup", config=rate, key=sealed_secret) is not None


def stranger_mail(request: HttpRequest, kind: str, address: str) -> bool:
    """Charge an email that somebody other than the owner of the address may have caused: three an hour of each kind."""
    config, key = {kind: "3/h/key"}, address.lower()
    usage = ratelimit.consume(request, app="twofactor", action=kind, config=config, key=key, limit_get=True)
    return usage is not None


def password_try(request: HttpRequest) -> bool:
    """Charge a password typed at step-up, ten a minute and user: a stranger cannot use these up."""
    rate = {"password": "10/m/user"}
    return ratelimit.consume(request, app="twofactor", action="password", config=rate, user=request.user) is not None
