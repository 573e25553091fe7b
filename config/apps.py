from django.apps import AppConfig
from django.conf import settings


class SiteConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config import checks, errors  # noqa: F401 - the checks register themselves

        if settings.SENTRY_DSN:
            errors.report_to(settings.SENTRY_DSN)
