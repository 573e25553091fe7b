"""Log formatters: one event per line, as JSON in production and as text with DEBUG.

They escape control characters, so that input cannot forge a line, and redact the tokens of emailed links.
The text format does neither in a traceback, and only indents it.
"""

import json
import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

# The request that this thread handles. The `request_id` middleware sets it.
current_request: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)
# An emailed link is equivalent to a password until it is used.
TOKEN = re.compile(r"(/password/reset/key/|/confirm-email/)[^/\s'\"]+")


def redact_tokens(text: str) -> str:
    return TOKEN.sub(r"\1...", text)


def user_id(request: HttpRequest) -> Any:
    """Return the ID of the signed-in user, or None if the request has not loaded one: logging must cost no query."""
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
        return None
    return getattr(user, "pk", None)


class LineFormatter(logging.Formatter):
    """Format text with UTC times and escaped control characters. A traceback keeps its lines, indented."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = redact_tokens(super().formatMessage(record))
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)

    def formatException(self, ei: Any) -> str:
        return "\n".join("    " + line for line in super().formatException(ei).splitlines())


class JsonFormatter(logging.Formatter):
    """Format one JSON object per line, in ASCII. JSON escapes line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Django logs responses after the middleware has finished, with the request on the record.
        request = getattr(record, "request", None)
        request = request if isinstance(request, HttpRequest) else current_request.get()
        source = {} if request is None else {"request": request.META.get("REQUEST_ID"), "user": user_id(request)}
        # The fields of an event override the source, because its user may not be signed in yet. They do not override
        # the head.
        line = {**head, **source, **getattr(record, "fields", {}), **head}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact_tokens(json.dumps(line, default=str))
