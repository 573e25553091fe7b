"""WSGI entry point for measurements: the site of DJANGO_SETTINGS_MODULE, and a path that returns the cost so far.

The server has one process and one thread for requests, so the difference of two readings is the cost of the
requests between them.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

PATH = "/bench-meter"
# Statements that are not counted: they only open and close transactions, or set options.
NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "SET")

site = get_wsgi_application()
counted = Counter[str]()


def count(execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
    counted["queries"] += not str(sql).lstrip().upper().startswith(NOT_COUNTED)
    return execute(sql, *rest)


def meter(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if count not in connection.execute_wrappers:
        connection.execute_wrappers.append(count)


connection_created.connect(meter)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] != PATH:
        return site(environ, start_response)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"queries": counted["queries"], "cpu": time.process_time()}).encode()]
