"""Error reports to Sentry, without what users typed. They need SENTRY_DSN and sentry-sdk.

A report contains no bodies, cookies, local variables, IP addresses or earlier log lines. A secret can get into other
parts, such as the message of an exception. There, known secrets and everything that looks like one are redacted.
"""

import re
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from config import logs

HIDDEN = "[hidden]"
# TOTP secrets in base32 or encrypted, backup codes and TOTP codes, with or without spaces.
SECRETS = re.compile(
    r"\b(?:[A-Z2-7]{4} ?){7}[A-Z2-7]{4}\b|\bv1\.\w+\.[\w+/=-]+"
    r"|\b[0-9A-Z]{4}(?:[ -]?[0-9A-Z]{4}){3}\b|\b\d{3}[ -]?\d{3}\b"
)
HEADERS = {"Host", "User-Agent", "Content-Type", "Content-Length", "Accept-Language", "Hx-Request", "Hx-Target"}
# IDs, times and versions that Sentry itself adds. Some of them look like a code.
SENTRY_KEYS = {
    "event_id",
    "timestamp",
    "start_timestamp",
    "release",
    "trace_id",
    "span_id",
    "parent_span_id",
    "modules",
}


def is_installed() -> bool:
    return find_spec("sentry_sdk") is not None


def init_sentry(dsn: str) -> None:
    """Report uncaught exceptions, and log records from level ERROR on, to Sentry. Do nothing without sentry-sdk."""
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
        # Other integrations would add Redis commands, and command-line arguments such as email addresses.
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration()],
        disabled_integrations=[ArgvIntegration()],
        auto_session_tracking=False,
        max_breadcrumbs=0,  # Breadcrumbs are log lines, with IP addresses. The log has them, by request ID.
    )


def scrub(event: Any, hint: Any) -> Any:
    """Return the event without bodies, cookies and IP addresses, and with secrets redacted.

    Sentry drops an event if this raises.
    """
    for key in ("extra", "request", "user"):
        event.pop(key, None)
    request = logs.current_request.get()
    if request is not None:
        event["request"] = {
            "method": request.method,
            "url": settings.SITE_URL + request.path,
            "headers": {name: value for name, value in request.headers.items() if name in HEADERS},
        }
        event["user"] = {"id": logs.user_id(request)}
        event.setdefault("tags", {})["request"] = request.id  # type: ignore[attr-defined] # set by config.middleware
    return _redact(event, sorted(known_secrets(request), key=len, reverse=True))


def known_secrets(request: HttpRequest | None) -> set[str]:
    """Return the secret settings, and the cookies and form values of this request.

    Leave out values of up to 3 characters, and the password in CACHE_URL.
    """
    known = {settings.SECRET_KEY, settings.EMAIL_HOST_PASSWORD, settings.DATABASES["default"].get("PASSWORD", "")}
    known |= {key.partition(":")[2] for key in settings.TWOFACTOR_KEYS.split(",")}
    if request is not None:
        known |= set(request.COOKIES.values())
        # Use the form only if it was parsed already. Parsing it here could raise.
        posted = getattr(request, "_post", None) or {}
        known |= {value for values in dict(posted).values() for value in values}
    return {value for value in known if value and len(value) > 3}


def _redact(value: Any, known: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: item if name in SENTRY_KEYS else _redact(item, known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, known) for item in value]
    if not isinstance(value, str):
        return value
    for secret in known:
        value = value.replace(secret, HIDDEN)
    return SECRETS.sub(HIDDEN, logs.redact_tokens(value))
