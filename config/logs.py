"""One event, one line: JSON on a server, plain words in DEBUG. None can be forged, and none holds a mailed link."""

import json
import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

# The request that this thread is answering; the middleware that gives it an id puts it here.
current_request: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)
# A mailed link is as good as a password until it is used.
TOKEN = re.compile(r"(/password/reset/key/|/confirm-email/)[^/\s'\"]+")


def redact_tokens(text: str) -> str:
    return TOKEN.sub(r"\1...", text)


def user_id(request: HttpRequest) -> Any:
    """The id of whoever is signed in, if this request asked so far; a line in a log costs no query."""
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
        return None
    return getattr(user, "pk", None)


class LineFormatter(logging.Formatter):
    """UTC times, and control characters escaped; a traceback keeps its own lines, each indented."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = redact_tokens(super().formatMessage(record))
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)

    def formatException(self, ei: Any) -> str:
        return "\n".join("    " + line for line in super().formatException(ei).splitlines())


class JsonFormatter(logging.Formatter):
    """An object a line, ASCII alone: JSON escapes whatever could end the line."""

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Django's own lines of an answer come when the middleware is through, and bring their request along.
        request = getattr(record, "request", None)
        request = request if isinstance(request, HttpRequest) else current_request.get()
        who = {} if request is None else {"request": getattr(request, "id", None), "user": user_id(request)}
        # An event says whom it is about, signed in or not yet; it cannot say when, or what happened.
        line = {**head, **who, **getattr(record, "fields", {}), **head}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact_tokens(json.dumps(line, default=str))
