"""Error reports to Sentry. They need SENTRY_DSN and sentry-sdk.

A report has the traceback, the message, the path, and the IDs of the request and its user. It has no body, query
string, header, cookie, local variable or earlier log line. Messages are sent as they are, without the tokens of emailed
links.
"""

import json
from importlib.util import find_spec
from typing import Any

from django.conf import settings

from config import logs

# Names of form fields and log fields that are not in Sentry's own list.
DENYLIST = ["agent", "backup_code", "code", "email", "ip", "key", "login", "oldpassword", "password1", "recipients"]


def is_installed() -> bool:
    return find_spec("sentry_sdk") is not None


def init_sentry(dsn: str) -> None:
    """Report uncaught exceptions, and log records from level ERROR on, to Sentry. Do nothing without sentry-sdk."""
    if not is_installed():
        return
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.scrubber import DEFAULT_DENYLIST, EventScrubber

    sentry_sdk.init(
        dsn,
        before_send=locate,
        event_scrubber=EventScrubber(denylist=[*DEFAULT_DENYLIST, *DENYLIST], recursive=True),
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        # Other integrations would add the arguments of commands, such as email addresses.
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration()],
        disabled_integrations=[ArgvIntegration()],
        auto_session_tracking=False,
        max_breadcrumbs=0,  # Breadcrumbs are log lines, with IP addresses. The log has them, by request ID.
    )


def locate(event: Any, hint: Any) -> Any:
    """Replace Sentry's description of the request by method, path and IDs, and redact tokens in the whole event."""
    event.pop("request", None)
    request = logs.current_request.get()
    if request is not None:
        event["request"] = {"method": request.method, "url": settings.SITE_URL + request.path}
        event["user"] = {"id": logs.user_id(request)}
        event.setdefault("tags", {})["request"] = request.META.get("REQUEST_ID")
    return json.loads(logs.redact_tokens(json.dumps(event, default=str)))
