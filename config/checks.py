"""System checks of the site's deployment settings. docs/deploy.md lists their IDs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, register

from config import errors, well_known


@register("site")
def check_site(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return list(_mistakes())


@register("site", deploy=True)
def check_site_in_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return list(_mistakes_in_production())


def _mistakes() -> Iterator[CheckMessage]:
    if settings.SENTRY_DSN and not errors.is_installed():
        yield checks.Warning(
            "SENTRY_DSN is set, but sentry-sdk is not installed, so no errors are reported.",
            hint="Run pip install sentry-sdk, or remove SENTRY_DSN.",
            id="site.W001",
        )
    if settings.TRUSTED_PROXY_COUNT < 0:
        yield Error(
            f"TRUSTED_PROXY_COUNT is {settings.TRUSTED_PROXY_COUNT}.",
            hint="Set it to the number of your proxies that add to X-Forwarded-For: 0 or more.",
            id="site.E001",
        )
    if _is_expiry_wrong():
        yield checks.Warning(
            f"SECURITY_EXPIRES is {settings.SECURITY_EXPIRES!r}, which is not a date in the future.",
            hint="Set SECURITY_EXPIRES to a date within the next year, such as 2027-06-30, or remove it.",
            id="site.W002",
        )
    url = urlsplit(settings.SITE_URL)
    if url.scheme not in ("http", "https") or not url.hostname or "*" in url.hostname:
        yield Error(
            f"SITE_URL is {settings.SITE_URL!r}, so the links in emails cannot work.",
            hint="Set SITE_URL, such as https://accounts.example.com. It defaults to the first of ALLOWED_HOSTS, which"
            " must then be a host name without a wildcard.",
            id="site.E002",
        )


def _is_expiry_wrong() -> bool:
    """Return True for a SECURITY_EXPIRES that is not a date, too."""
    try:
        return bool(settings.SECURITY_EXPIRES) and well_known.expiry_in_settings() <= datetime.now(UTC)
    except (OverflowError, ValueError):
        return True


def _mistakes_in_production() -> Iterator[CheckMessage]:
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXY_COUNT:
        yield Info(
            "USE_HTTPS is on and TRUSTED_PROXY_COUNT is 0, so X-Forwarded-Proto is ignored.",
            hint="Behind an HTTPS proxy, set TRUSTED_PROXY_COUNT. Otherwise every page redirects to itself, and all"
            " visitors share one IP address and its rate limits. Ignore this if the server itself terminates TLS.",
            id="site.I001",
        )
    if not settings.DEBUG and settings.EMAIL_BACKEND == "config.mail.TerminalBackend":
        yield Info(
            "Emails go to the log: users receive none, and the log contains password reset links.",
            hint="Set EMAIL_URL.",
            id="site.I002",
        )
