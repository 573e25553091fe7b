"""One event, one line: whatever a stranger typed cannot start a second line in the log."""

import logging
import time
from typing import Any


class LineFormatter(logging.Formatter):
    """UTC times, and control characters escaped; a traceback keeps its own lines, each indented."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)

    def formatException(self, ei: Any) -> str:
        return "\n".join("    " + line for line in super().formatException(ei).splitlines())
