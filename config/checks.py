"""`manage.py check` says what is wrong between this site and the machines around it; docs/deploy.md names the ids."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register
from django.core.checks import Warning as Caution

from config import errors


@register("site")
def check_sentry(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.SENTRY_DSN or errors.is_installed():
        return []
    return [
        Caution(
            "SENTRY_DSN is set, but sentry-sdk is not installed: no error is reported.",
            hint="pip install sentry-sdk, or take SENTRY_DSN away.",
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
            hint="How many proxies of your own add to X-Forwarded-For: 0 or more.",
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
            f"No link in an email can begin with {settings.SITE_URL!r}.",
            hint="Set SITE_URL, such as https://accounts.example.com. Unless set, it is the first of ALLOWED_HOSTS, and"
            " that must be a name.",
            id="site.E002",
        )
    ]


@register("site", deploy=True)
def check_forwarded_proto(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.SECURE_SSL_REDIRECT or settings.TRUSTED_PROXY_COUNT:
        return []
    return [
        Info(
            "USE_HTTPS is on and TRUSTED_PROXY_COUNT is 0: X-Forwarded-Proto is not believed.",
            hint="Behind a proxy that speaks HTTPS every page would redirect to itself, and all visitors share one"
            " address and its limits: set TRUSTED_PROXY_COUNT. Only a server that speaks HTTPS itself needs none.",
            id="site.I001",
        )
    ]


@register("site", deploy=True)
def check_email_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.DEBUG or settings.EMAIL_BACKEND != "config.mail.TerminalBackend":
        return []
    return [
        Info(
            "Mails go to the log: owners are not told, and links that set a password stand there to be read.",
            hint="Set EMAIL_URL.",
            id="site.I002",
        )
    ]
