from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin_apps


class SiteConfig(AppConfig):
    name = "config"
    default = True

    def ready(self) -> None:
        from config import checks, errors  # noqa: F401 - the checks register themselves

        if settings.SENTRY_DSN:
            errors.report_to(settings.SENTRY_DSN)


class AdminConfig(admin_apps.AdminConfig):
    default = False  # in settings, "config" means SiteConfig
    default_site = "accounts.admin_site.AdminSite"
