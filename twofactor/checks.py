"""System checks. Each finding has its own ID; docs/reuse.md and docs/deploy.md list them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from email import policy
from email.errors import InvalidHeaderDefect
from itertools import chain

from allauth.account.adapter import get_adapter
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, Tags, register
from django.db import connections
from django.urls import NoReverseMatch
from django.utils.module_loading import import_string

from twofactor import conf, crypto
from twofactor.account import AccountAdapter
from twofactor.adapter import Adapter
from twofactor.models import AuthenticatorApp
from twofactor.passkey_checks import check_passkeys
from twofactor.stages import VerifyStage

MIDDLEWARE = "twofactor.middleware.TwofactorMiddleware"
HTMX_MIDDLEWARE = "django_htmx.middleware.HtmxMiddleware"
AFTER = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    HTMX_MIDDLEWARE,
)
KEY_HINT = (
    'Set TWOFACTOR_KEYS = "kid:base64key,...", where each key has 32 bytes. The first key seals, all keys open. '
    "`openssl rand -base64 32` makes a key. Keep it out of the repository."
)
LEVELS = {"E": ERROR, "W": WARNING}
Findings = Iterator[tuple[str, str, str]]


@register("twofactor")
def check_all(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    every = (
        _stage,
        _middleware,
        _urls,
        _sessions,
        _keys,
        _cookies,
        _from_email,
        _numbers,
        _site_url,
        _adapter,
        check_passkeys,
    )
    return _messages(*every)


@register(Tags.database)
def check_secrets(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """Open one secret for each key ID. Runs in `check --database default` and in `migrate`."""
    return _messages(lambda: _secrets(databases or ()))


def _messages(*checks: Callable[[], Findings]) -> list[CheckMessage]:
    return [
        CheckMessage(LEVELS[number[0]], message, hint=hint, id=f"twofactor.{number}")
        for check in checks
        for number, message, hint in check()
    ]


def _stage() -> Findings:
    adapter = get_adapter()
    if not any(issubclass(import_string(path), VerifyStage) for path in adapter.get_login_stages()):
        yield (
            "E001",
            "Sign-in does not ask for the second factor.",
            'Set ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter", or derive your own adapter from it.',
        )
    elif not isinstance(adapter, AccountAdapter):
        yield (
            "E014",
            "allauth's step-up asks for the password only, not for the second factor.",
            "Derive your ACCOUNT_ADAPTER from twofactor.account.AccountAdapter.",
        )

    if apps.is_installed("allauth.headless"):
        yield (
            "E015",
            "allauth.headless accepts the password alone for step-up, and its tokens bypass TwofactorMiddleware.",
            "Remove allauth.headless from INSTALLED_APPS. This app supports sites with pages only.",
        )


def _middleware() -> Findings:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield (
            "E002",
            f"{MIDDLEWARE} is not in MIDDLEWARE, so sessions without a second factor stay signed in.",
            f'Add "{MIDDLEWARE}" to MIDDLEWARE, after "allauth.account.middleware.AccountMiddleware".',
        )
        return
    if HTMX_MIDDLEWARE not in settings.MIDDLEWARE:
        yield (
            "E018",
            f"{HTMX_MIDDLEWARE} is not in MIDDLEWARE, so htmx would swap whole pages into a page.",
            f'Add "{HTMX_MIDDLEWARE}" to MIDDLEWARE, before "{MIDDLEWARE}".',
        )
        return
    place = settings.MIDDLEWARE.index(MIDDLEWARE)
    if misplaced := [name for name in AFTER if name not in settings.MIDDLEWARE[:place]]:
        yield "E003", f"{MIDDLEWARE} is listed before {misplaced[0]}.", f"List it after {misplaced[0]}."


def _urls() -> Findings:
    try:
        conf.settings_path()
    except NoReverseMatch:
        yield (
            "E013",
            "The URLs of twofactor are not in the URLconf.",
            'Add path("accounts/2fa/", include("twofactor.urls")) to the URLconf.',
        )


def _sessions() -> Findings:
    if settings.SESSION_ENGINE.endswith("signed_cookies"):
        yield (
            "E006",
            "Sessions in signed cookies cannot be ended by the server.",
            "Set SESSION_ENGINE to a backend that stores sessions on the server.",
        )


def _keys() -> Findings:
    try:
        conf.keyring()
    except AttributeError:
        yield "E007", "TWOFACTOR_KEYS is not set. Secrets cannot be stored without it.", KEY_HINT
    except ValueError as error:
        yield "E007", f"TWOFACTOR_KEYS: {error}.", KEY_HINT


def _cookies() -> Findings:
    https = settings.SECURE_SSL_REDIRECT or settings.SECURE_HSTS_SECONDS
    if https and not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        yield (
            "E008",
            "HTTPS is on, but browsers also send the session or CSRF cookie over plain HTTP.",
            "Set SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE to True.",
        )


def _from_email() -> Findings:
    if not _is_one_address(str(settings.DEFAULT_FROM_EMAIL)):
        yield (
            "E016",
            f"DEFAULT_FROM_EMAIL is not one address: {settings.DEFAULT_FROM_EMAIL!r}. No email can be sent.",
            "Quote a name that has a comma or other special characters: '\"Acme, Inc.\" <no-reply@example.com>'.",
        )


def _is_one_address(value: str) -> bool:
    """Return whether this is one mailbox, with or without a name (RFC 5322, section 3.4)."""
    try:
        header = policy.default.header_factory("from", value)
    except ValueError:  # a line break
        return False
    if any(isinstance(defect, InvalidHeaderDefect) for defect in header.defects):
        return False
    return [group.display_name for group in header.groups] == [None]  # a group would have a name


def _numbers() -> Findings:
    if conf.drift_window() not in (0, 1):
        yield (
            "E009",
            f"TWOFACTOR_DRIFT_WINDOW is {conf.drift_window()}.",
            "Use 0 or 1. More time steps make guessing easier.",
        )
    if ":" in conf.issuer() or not conf.issuer().strip():
        yield (
            "E010",
            "TWOFACTOR_ISSUER is empty or contains a colon, which separates issuer and account in a provisioning URI.",
            "Use a name without a colon.",
        )
    if conf.required() not in ("none", "staff", "all"):
        yield "E011", f"TWOFACTOR_REQUIRED is {conf.required()!r}.", 'Use "none", "staff" or "all".'
    days: object = conf.event_days()
    least, most = conf.EVENTS_KEPT_AT_LEAST, conf.EVENTS_KEPT_AT_MOST
    if not isinstance(days, int) or not least <= days <= most:
        yield "E019", f"TWOFACTOR_EVENT_DAYS is {days!r}.", f"Use a number from {least} to {most}."


def _site_url() -> Findings:
    if settings.ALLOWED_HOSTS and not (conf.site_url() or conf.default_site_url()):
        yield (
            "E017",
            "Links in emails have no host, because TWOFACTOR_SITE_URL is not set and ALLOWED_HOSTS names no host.",
            'Set TWOFACTOR_SITE_URL = "https://example.com".',
        )


def _adapter() -> Findings:
    try:
        found = import_string(conf.adapter())
    except ImportError as error:
        yield (
            "E012",
            f"TWOFACTOR_ADAPTER cannot be imported: {error}.",
            'Use a dotted path, like "shop.adapter.Adapter".',
        )
        return
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        yield (
            "E012",
            f"TWOFACTOR_ADAPTER: {conf.adapter()} is not an Adapter.",
            "Use a subclass of twofactor.adapter.Adapter.",
        )


def _secrets(databases: Iterable[str]) -> Findings:
    for app in chain.from_iterable(map(_one_for_each_key, databases)):
        if error := app.unsealing_error:
            yield (
                "W007",
                f"The secret of user {app.second_factor.user_id} does not open: {error}.",
                "Check TWOFACTOR_KEYS. `manage.py twofactor report` lists every secret that does not open.",
            )


def _one_for_each_key(alias: str) -> Iterator[AuthenticatorApp]:
    """Yield one row per key ID in TWOFACTOR_KEYS, and one with any other key ID."""
    if AuthenticatorApp._meta.db_table not in connections[alias].introspection.table_names():
        return
    try:
        kids = list(conf.keyring().keys)
    except (AttributeError, ValueError):  # reported as E007
        return
    # Read only these columns, because others may not exist before `migrate`.
    rows = AuthenticatorApp.objects.using(alias).select_related("second_factor")
    rows = rows.only("sealed_secret", "second_factor__user_id")
    for kid in kids:
        sealed_with_this = {"sealed_secret__startswith": f"{crypto.VERSION}.{kid}."}
        yield from rows.filter(**sealed_with_this)[:1]
        rows = rows.exclude(**sealed_with_this)
    yield from rows[:1]
