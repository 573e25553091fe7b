"""System checks of the site's deployment settings. docs/deploy.md lists their IDs."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, register

from config import errors


@register("site")
def check_sentry(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.SENTRY_DSN or errors.is_installed():
        return []
    return [
        checks.Warning(
            "SENTRY_DSN is set, but sentry-sdk is not installed, so no errors are reported.",
            hint="Run pip install sentry-sdk, or remove SENTRY_DSN.",
            id="site.W001",
        )
    ]


@register("site")
def check_proxy_count(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.TRUSTED_PROXY_COUNT >= 0:
        return []
    return [
        Error(
            f"TRUSTED_PROXY_COUNT is {settings.TRUSTED_PROXY_COUNT}.",
            hint="Set it to the number of your proxies that add to X-Forwarded-For: 0 or more.",
            id="site.E001",
        )
    ]


@register("site")
def check_site_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    parts = urlsplit(settings.SITE_URL)
    if parts.scheme in ("http", "https") and parts.hostname and "*" not in parts.hostname:
        return []
    return [
        Error(
            f"SITE_URL is {settings.SITE_URL!r}, so the links in emails cannot work.",
            hint="Set SITE_URL, such as https://accounts.example.com. It defaults to the first of ALLOWED_HOSTS, which"
            " must then be a host name without a wildcard.",
            id="site.E002",
        )
    ]


@register("site", deploy=True)
def check_forwarded_proto(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.SECURE_SSL_REDIRECT or settings.TRUSTED_PROXY_COUNT:
        return []
    return [
        Info(
            "USE_HTTPS is on and TRUSTED_PROXY_COUNT is 0, so X-Forwarded-Proto is ignored.",
            hint="Behind an HTTPS proxy, set TRUSTED_PROXY_COUNT. Otherwise every page redirects to itself, and all"
            " visitors share one IP address and its rate limits. Ignore this if the server itself terminates TLS.",
            id="site.I001",
        )
    ]


@register("site", deploy=True)
def check_email_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.DEBUG or settings.EMAIL_BACKEND != "config.mail.TerminalBackend":
        return []
    return [
        Info(
            "Emails go to the log: users receive none, and the log contains password reset links.",
            hint="Set EMAIL_URL.",
            id="site.I002",
        )
    ]
