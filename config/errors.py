"""Errors to Sentry, where SENTRY_DSN is set and sentry-sdk is installed: what failed and where, never what was typed.

Nothing is sent that is not needed: no bodies, no cookies, no local variables, no address. What is left, such as the
words of an exception, may still quote a secret; it is looked for and blotted out.
"""

import re
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from config import logs

HIDDEN = "[hidden]"
# Keys of the app in base32 and sealed ones, backup codes and codes from the app, however they are spaced.
SECRETS = re.compile(
    r"\b(?:[A-Z2-7]{4} ?){7}[A-Z2-7]{4}\b|\bv1\.\w+\.[\w+/=-]+"
    r"|\b[0-9A-Z]{4}(?:[ -]?[0-9A-Z]{4}){3}\b|\b\d{3}[ -]?\d{3}\b"
)
HEADERS = {"Host", "User-Agent", "Content-Type", "Content-Length", "Accept-Language", "Hx-Request", "Hx-Target"}
# Ids and times of Sentry's own, some of which look like a code.
OWN = {"event_id", "timestamp", "start_timestamp", "release", "trace_id", "span_id", "parent_span_id", "modules"}


def is_installed() -> bool:
    return find_spec("sentry_sdk") is not None


def init_sentry(dsn: str) -> None:
    """Send what nobody caught, and every log line from ERROR on, to this address; without sentry-sdk, nothing."""
    if not is_installed():
        return
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.django import DjangoIntegration

    sentry_sdk.init(
        dsn,
        before_send=scrub,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        # Others would add what was asked of Redis, and the addresses that a command of ours was given.
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration()],
        disabled_integrations=[ArgvIntegration()],
        auto_session_tracking=False,
    )


def scrub(event: Any, hint: Any) -> Any:
    """The event as it may leave the machine. An exception in here, and it does not leave."""
    for crumb in event.get("breadcrumbs", {}).get("values", []):
        crumb.pop("data", None)
    for taken in ("extra", "request", "user"):
        event.pop(taken, None)
    request = logs.current_request.get()
    if request is not None:
        event["request"] = {
            "method": request.method,
            "url": settings.SITE_URL + request.path,
            "headers": {name: value for name, value in request.headers.items() if name in HEADERS},
        }
        event["user"] = {"id": logs.user_id(request)}
        event.setdefault("tags", {})["request"] = request.id  # type: ignore[attr-defined] # of config.middleware
    return _redact(event, sorted(known_secrets(request), key=len, reverse=True))


def known_secrets(request: HttpRequest | None) -> set[str]:
    """What must not leave because of where it comes from: the keys, and all that this request brought in."""
    known = {settings.SECRET_KEY, settings.EMAIL_HOST_PASSWORD, settings.DATABASES["default"].get("PASSWORD", "")}
    known |= {key.partition(":")[2] for key in settings.TWOFACTOR_KEYS.split(",")}
    if request is not None:
        known |= set(request.COOKIES.values())
        # Only if somebody read the form: here it must not be read for the first time.
        posted = getattr(request, "_post", None) or {}
        known |= {value for values in dict(posted).values() for value in values}
    return {value for value in known if value and len(value) > 3}


def _redact(value: Any, known: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: held if name in OWN else _redact(held, known) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(held, known) for held in value]
    if not isinstance(value, str):
        return value
    for secret in known:
        value = value.replace(secret, HIDDEN)
    return SECRETS.sub(HIDDEN, logs.redact_tokens(value))
