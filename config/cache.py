"""Cache backends that fail open: while the store is unreachable, the cache behaves as if it were empty.

Django's own backends do not fit a site without Redis. LocMemCache is per process, which multiplies every rate limit by
the number of processes. The file-based cache has no atomic `add` and lists its folder at each write. The database cache
takes about sixty queries per sign-in.
"""

import logging
import pickle
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

from django.core.cache.backends import redis as django_redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

logger = logging.getLogger("config.cache")


class FailsOpen:
    """Class decorator: when the store is unreachable, log the error and return the value from `answers`.

    This is a circuit breaker: after two failures in a row, the process skips the store for `rest` seconds. Otherwise
    a server that hangs would delay a sign-in at every cache call. One failure is not enough, because the next call may
    release a lock, and a lock that stays would refuse a user.
    """

    def __init__(self, errors: Callable[[], tuple[type[Exception], ...]], answers: dict[str, Any], *, rest: int = 0):
        self._errors, self._answers, self._rest = errors, answers, rest
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}

    def __call__(self, cls: type) -> type:
        for name, answer in self._answers.items():
            setattr(cls, name, self._guarded(getattr(cls, name), answer))
        return cls

    def _guarded(self, method: Callable[..., Any], answer: Any) -> Callable[..., Any]:
        def fallback(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if method.__name__ == "get":
                return kwargs.get("default", args[1] if len(args) > 1 else None)
            return copy(answer)

        @wraps(method)
        def call(cache: Any, *args: Any, **kwargs: Any) -> Any:
            if time.monotonic() < self._retry_at.get(cache.store, 0):
                return fallback(args, kwargs)
            try:
                result = method(cache, *args, **kwargs)
            except self._errors() as error:
                logger.error("cache unreachable in %s: %s", method.__name__, error)
                self._failed(cache.store)
                return fallback(args, kwargs)
            self._failures[cache.store] = 0
            return result

        return call

    def _failed(self, store: str) -> None:
        self._failures[store] = self._failures.get(store, 0) + 1
        if self._failures[store] >= 2:
            self._retry_at[store] = time.monotonic() + self._rest


# `add` returns True: callers use it as a lock, and a lock must not refuse users while the store is unreachable.
ANSWERS: dict[str, Any] = {
    "get": None,
    "set": None,
    "add": True,
    "touch": False,
    "delete": False,
    "has_key": False,
    "clear": None,
    "get_many": {},
    "set_many": [],
    "delete_many": None,
}


def redis_errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError  # The import takes a third of the start-up time, so only Redis users pay.

    return RedisError, OSError


@FailsOpen(redis_errors, ANSWERS, rest=5)
class RedisCache(django_redis.RedisCache):
    """Django's Redis cache that keeps working while its server is down or does not respond."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self.store = str(server)  # CACHE_URL may name several servers.

    def clear(self) -> None:
        """Delete the keys with this KEY_PREFIX. Django empties the whole database, which other sites may use."""
        client = self._cache.get_client(write=True)
        for key in client.scan_iter(match=f"{self.key_prefix}:*"):
            client.delete(key)


@FailsOpen(lambda: (sqlite3.Error, OSError), ANSWERS)
class SQLiteCache(BaseCache):
    """A cache in one SQLite file, shared by all processes of the machine. `add` is atomic.

    LOCATION is the path of the file. One write in a hundred deletes the expired rows.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.store = location
        self._local = threading.local()

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        return self._local.connection.execute(sql, values)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.store, timeout=5, isolation_level=None)
        # A cache may lose its last seconds in a power failure. Waiting for the disk would slow down every sign-in.
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-256;"
            "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB, expires REAL) WITHOUT ROWID;"
            "CREATE INDEX IF NOT EXISTS cache_expires ON cache (expires);"
        )
        return connection

    def _expires(self, timeout: Any) -> float:
        moment = self.get_backend_timeout(timeout)
        return 1e12 if moment is None else float(moment)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = self._execute(
            "SELECT value FROM cache WHERE key=? AND expires>?", self._key(key, version), time.time()
        ).fetchone()
        return default if row is None else pickle.loads(row[0])  # noqa: S301 - only the site writes the file; Django's backends pickle too

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._execute(
            "INSERT OR REPLACE INTO cache VALUES (?, ?, ?)",
            self._key(key, version),
            self._pickled(value),
            self._expires(timeout),
        )
        if random.randrange(100) == 0:  # noqa: S311 - not used for security
            self._execute("DELETE FROM cache WHERE expires<=?", time.time())

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        sql = (
            "INSERT INTO cache VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
            " SET value=excluded.value, expires=excluded.expires WHERE cache.expires<=?"
        )
        return (
            self._execute(
                sql, self._key(key, version), self._pickled(value), self._expires(timeout), time.time()
            ).rowcount
            == 1
        )

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        sql = "UPDATE cache SET expires=? WHERE key=? AND expires>?"
        return self._execute(sql, self._expires(timeout), self._key(key, version), time.time()).rowcount == 1

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._execute("DELETE FROM cache WHERE key=?", self._key(key, version)).rowcount == 1

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self.get(key, version=version) is not None

    def clear(self) -> None:
        self._execute("DELETE FROM cache")

    def _key(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version=version)

    @staticmethod
    def _pickled(value: Any) -> bytes:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
