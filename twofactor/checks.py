"""`manage.py check` says what a site forgot, one id each; docs/reuse.md and docs/deploy.md name them."""

from collections.abc import Callable, Iterable, Iterator
from email import policy
from email.errors import InvalidHeaderDefect
from itertools import chain
from typing import Any

from allauth.account import app_settings as allauth_settings
from allauth.account.adapter import get_adapter
from allauth.utils import get_form_class
from django.apps import apps
from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, Tags, register
from django.db import connections
from django.urls import NoReverseMatch
from django.utils.module_loading import import_string

from twofactor import conf, crypto
from twofactor.account import AccountAdapter
from twofactor.adapter import Adapter
from twofactor.models import Authenticator

MIDDLEWARE = "twofactor.middleware.TwofactorMiddleware"
AFTER = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
)
KEY_HINT = (
    'In the settings: TWOFACTOR_KEYS = "kid:base64key,..." with 32 bytes a key, from a place that only the site '
    "reads; the first seals, all open. `openssl rand -base64 32` makes one."
)
LEVELS = {"E": ERROR, "W": WARNING}
LIMITLESS_CACHES = {
    "DummyCache": "DummyCache keeps nothing, so that it limits nothing.",
    "LocMemCache": "LocMemCache is not shared, so that limits multiply by the number of processes.",
}
SHARED_CACHE_HINT = "Set CACHES to one that all processes share: Redis, Memcached, a file, the database."
Findings = Iterator[tuple[str, str, str]]


@register("twofactor")
def check_all(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    every = (
        _stage,
        _middleware,
        _addresses,
        _no_cache,
        _sessions,
        _keys,
        _cookies,
        _sender,
        _numbers,
        _site_url,
        _adapter,
    )
    return _messages(*every)


@register("twofactor", deploy=True)
def check_deploy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Checks that matter only in production."""
    return _messages(_cache)


@register(Tags.database)
def check_secrets(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Open one secret for each key ID. Runs in `check --database default` and in `migrate`."""
    return _messages(lambda: _secrets(databases or ()))


def _messages(*checks: Callable[[], Findings]) -> list[CheckMessage]:
    return [
        CheckMessage(LEVELS[number[0]], words, hint=hint, id=f"twofactor.{number}")
        for check in checks
        for number, words, hint in check()
    ]


def _stage() -> Findings:
    from twofactor.stages import VerifyStage

    adapter = get_adapter()
    if not any(issubclass(import_string(path), VerifyStage) for path in adapter.get_login_stages()):
        yield (
            "E001",
            "Sign-in does not ask for the second factor.",
            'In the settings: ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter", or derive your own from it.',
        )
    elif not (isinstance(adapter, AccountAdapter) or _proof_asks_for_a_code()):
        yield (
            "E014",
            "Where allauth asks for a proof, the password alone is one.",
            "Derive the site's ACCOUNT_ADAPTER from twofactor.account.AccountAdapter.",
        )

    if apps.is_installed("allauth.headless"):
        yield (
            "E015",
            "allauth.headless takes the password alone for a proof, and signs in by a token behind our middleware.",
            "Take allauth.headless out of INSTALLED_APPS: this app is for sites with pages.",
        )


def _proof_asks_for_a_code() -> bool:
    from twofactor.forms import ProofForm

    form = get_form_class(allauth_settings.FORMS, "reauthenticate", None)
    return form is not None and issubclass(form, ProofForm)


def _middleware() -> Findings:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield (
            "E002",
            f"{MIDDLEWARE} is not in MIDDLEWARE: sessions that never saw a code stay signed in.",
            f'In the settings: "{MIDDLEWARE}" in MIDDLEWARE, after "allauth.account.middleware.AccountMiddleware".',
        )
        return
    place = settings.MIDDLEWARE.index(MIDDLEWARE)
    if late := [name for name in AFTER if name not in settings.MIDDLEWARE[:place]]:
        yield "E003", f"{MIDDLEWARE} stands before {late[0]}.", "Put it after allauth's AccountMiddleware."


def _addresses() -> Findings:
    try:
        conf.settings_path()
    except NoReverseMatch:
        yield (
            "E013",
            "The pages of the second factor have no address.",
            'In the URLconf: path("accounts/2fa/", include("twofactor.urls")).',
        )


def _no_cache() -> Findings:
    """A warning, since an error would stop `migrate`, `runserver` and `test` where nothing needs a limit.

    LocMemCache is not named here: it is Django's default, and limits where one process serves.
    """
    if _cache_backend() == "DummyCache":
        yield "W005", LIMITLESS_CACHES["DummyCache"], SHARED_CACHE_HINT


def _cache() -> Findings:
    if words := LIMITLESS_CACHES.get(_cache_backend()):
        yield "E005", words, SHARED_CACHE_HINT


def _cache_backend() -> str:
    return settings.CACHES["default"]["BACKEND"].rpartition(".")[2]


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
    except AttributeError:
        yield "E007", "TWOFACTOR_KEYS is missing: without it no secret can be kept.", KEY_HINT
    except ValueError as error:
        yield "E007", f"TWOFACTOR_KEYS: {error}.", KEY_HINT


def _cookies() -> Findings:
    https = settings.SECURE_SSL_REDIRECT or settings.SECURE_HSTS_SECONDS
    if https and not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        yield (
            "E008",
            "HTTPS is on, but cookies go over plain http too.",
            "Set SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE.",
        )


def _sender() -> Findings:
    if not _is_one_address(str(settings.DEFAULT_FROM_EMAIL)):
        yield (
            "E016",
            f"DEFAULT_FROM_EMAIL is not one address: {settings.DEFAULT_FROM_EMAIL!r}. No email could be sent.",
            "Put a name with a comma or other special characters in quotes: '\"Acme, Inc.\" <no-reply@example.com>'.",
        )


def _is_one_address(value: str) -> bool:
    """Return whether this is one mailbox with or without a name (RFC 5322, 3.4)."""
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
            "0 or 1: more steps are more guesses.",
        )
    if ":" in conf.issuer() or not conf.issuer().strip():
        yield (
            "E010",
            "TWOFACTOR_ISSUER is empty or has a colon, which ends the issuer in a provisioning URI.",
            "Choose a name without a colon.",
        )
    if conf.required() not in ("none", "staff", "all"):
        yield "E011", f"TWOFACTOR_REQUIRED is {conf.required()!r}.", "One of none, staff, all."


def _site_url() -> Findings:
    if settings.ALLOWED_HOSTS and not (conf.site_url() or conf.default_site_url()):
        yield (
            "E017",
            "Links in emails would have no host: TWOFACTOR_SITE_URL is not set, and ALLOWED_HOSTS names none.",
            'In the settings: TWOFACTOR_SITE_URL = "https://example.com".',
        )


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


def _secrets(databases: Iterable[str]) -> Findings:
    for authenticator in chain.from_iterable(map(_one_for_each_key, databases)):
        if error := authenticator.unsealing_error:
            yield (
                "W007",
                f"The secret of user {authenticator.user_id} does not open: {error}.",
                "Look at TWOFACTOR_KEYS. `manage.py twofactor report` counts the secrets that do not open.",
            )


def _one_for_each_key(alias: str) -> Iterator[Authenticator]:
    if Authenticator._meta.db_table not in connections[alias].introspection.table_names():
        return
    try:
        kids = list(conf.keyring().keys)
    except (AttributeError, ValueError):  # E007 says so
        return
    # No other columns: before `migrate` the table may not have them.
    rows = Authenticator.objects.using(alias).only("user_id", "sealed_secret")
    for kid in kids:
        sealed_with_this = {"sealed_secret__startswith": f"{crypto.VERSION}.{kid}."}
        yield from rows.filter(**sealed_with_this)[:1]
        rows = rows.exclude(**sealed_with_this)
    yield from rows[:1]
