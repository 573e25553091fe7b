"""Call a function on a site's database: `python -m bench.orm FUNCTION {"argument": ...}`. Print the result as JSON.

It runs in its own process, because a process has the settings of one site. BENCH_ROWS names the module of the function.
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection, models, transaction


def session_of(user: Any, **more: Any) -> str:
    """Create a session in which this user is signed in. Return its key."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.update(more)
    store.save()
    return store.session_key


def multiply(row: models.Model, count: int, **expressions: str) -> None:
    """Insert copies of this row in one statement. `expressions` are SQL for columns, in which i counts from 0."""
    meta = row._meta
    columns = [str(field.column) for field in meta.concrete_fields if not isinstance(field, models.AutoField)]
    quoted = connection.ops.quote_name
    values = [expressions.get(column, f"t.{quoted(column)}").replace("%", "%%") for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quoted(meta.db_table)} ({', '.join(map(quoted, columns))})"  # noqa: S608 - names of our own models
            f" WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1})"
            f" SELECT {', '.join(values)} FROM n, {quoted(meta.db_table)} t WHERE t.{quoted(str(meta.pk.column))} = %s",
            [row.pk],
        )


def analyze() -> None:
    """Update the statistics, which PostgreSQL otherwise does a minute later."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


if __name__ == "__main__":
    django.setup()
    rows = import_module(os.environ["BENCH_ROWS"])
    with transaction.atomic():
        answer = getattr(rows, sys.argv[1])(**json.loads(sys.argv[2]))
    print(json.dumps(answer))
