"""`manage.py check` says what a site forgot, one id each; docs/reuse.md and docs/deploy.md name them."""

from collections.abc import Iterator
from typing import Any

from allauth.account.adapter import get_adapter
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.urls import get_resolver
from django.utils.module_loading import import_string

from twofactor import conf
from twofactor.adapter import Adapter

WALL = "twofactor.middleware.SecondWallMiddleware"
AFTER = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
)
PER_PROCESS = ("LocMemCache", "DummyCache")


@register("twofactor")
def check_all(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(words, hint=hint, id=f"twofactor.{number}")
        for check in (_stage, _wall, _admin, _cache, _sessions, _keys, _cookies, _numbers, _adapter)
        for number, words, hint in check()
    ]


Findings = Iterator[tuple[str, str, str]]


def _stage() -> Findings:
    from twofactor.stages import VerifyStage

    if not any(issubclass(import_string(path), VerifyStage) for path in get_adapter().get_login_stages()):
        yield (
            "E001",
            "Sign-in does not ask for the second factor.",
            ('Return [*super().get_login_stages(), "twofactor.stages.VerifyStage"] from your ACCOUNT_ADAPTER.'),
        )


def _wall() -> Findings:
    if WALL not in settings.MIDDLEWARE:
        yield "E002", f"{WALL} is not in MIDDLEWARE.", "Put it after allauth's AccountMiddleware."
        return
    place = settings.MIDDLEWARE.index(WALL)
    if late := [name for name in AFTER if name not in settings.MIDDLEWARE[:place]]:
        yield "E003", f"{WALL} stands before {late[0]}.", "Put it after allauth's AccountMiddleware."


def _admin() -> Findings:
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.sites import AdminSite, all_sites

    get_resolver().url_patterns  # noqa: B018 - the URLconf is where a site covers its admin
    for site in all_sites:
        if getattr(site.login, "__func__", None) is AdminSite.login:
            yield (
                "E004",
                f"The admin site {site.name!r} has its own sign-in, which asks for no code.",
                ("In the URLconf: admin.site.login = secure_admin_login(admin.site.login), of allauth.account."),
            )


def _cache() -> Findings:
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith(PER_PROCESS):
        yield (
            "E005",
            f"{backend} is not shared, so that limits multiply by the number of processes.",
            ("Set CACHE_URL to a cache that all processes share, such as redis://."),
        )


def _sessions() -> Findings:
    if settings.SESSION_ENGINE.endswith("signed_cookies"):
        yield (
            "E006",
            "Sessions in signed cookies cannot be ended.",
            "Set SESSION_ENGINE to one that keeps them on the server.",
        )


def _keys() -> Findings:
    try:
        conf.keyring()
    except (ValueError, AttributeError) as error:
        yield (
            "E007",
            f"TWOFACTOR_KEYS: {error}.",
            "kid:base64key,... with 32 bytes a key; the first seals, all open.",
        )


def _cookies() -> Findings:
    https = settings.SECURE_SSL_REDIRECT or settings.SECURE_HSTS_SECONDS
    if https and not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        yield (
            "E008",
            "HTTPS is on, but cookies go over plain http too.",
            "Set SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE.",
        )


def _numbers() -> Findings:
    if conf.drift_window() not in (0, 1):
        yield (
            "E009",
            f"TWOFACTOR_DRIFT_WINDOW is {conf.drift_window()}.",
            "0 or 1: more steps are more guesses.",
        )
    if ":" in conf.issuer():
        yield (
            "E010",
            "TWOFACTOR_ISSUER has a colon, which ends the issuer in a provisioning URI.",
            "Choose a name without.",
        )
    if conf.required() not in ("none", "staff", "all"):
        yield "E011", f"TWOFACTOR_REQUIRED is {conf.required()!r}.", "One of none, staff, all."


def _adapter() -> Findings:
    try:
        found = import_string(conf.adapter())
    except ImportError as error:
        yield "E012", f"TWOFACTOR_ADAPTER cannot be imported: {error}.", "A dotted path, such as shop.adapter.Adapter."
        return
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        yield (
            "E012",
            f"TWOFACTOR_ADAPTER: {conf.adapter()} is no Adapter.",
            "Name a class of twofactor.adapter.Adapter.",
        )
