from importlib import import_module

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class SiteConfig(AppConfig):
    name = "config"
    default = True

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        from config import errors, middleware

        import_module("config.checks")  # It registers them.
        user_logged_in.connect(middleware.record_sign_in_time)
        if settings.SENTRY_DSN:
            errors.init_sentry(settings.SENTRY_DSN)


class AdminConfig(admin_apps.AdminConfig):
    default = False  # "config" in INSTALLED_APPS means SiteConfig.
    default_site = "accounts.admin_site.AdminSite"

    def ready(self) -> None:
        """Name the sections of the admin. allauth's own name, "Accounts", would also fit the users of this site."""
        super().ready()
        apps.get_app_config("account").verbose_name = _("Email addresses")
        apps.get_app_config("auth").verbose_name = _("Permissions")
