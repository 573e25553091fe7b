"""`manage.py check` says what is wrong between this site and the machines around it; docs/deploy.md names the ids."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, register
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
