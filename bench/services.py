"""The databases of the measured sites: SQLite, or PostgreSQL with Redis."""

import os
import secrets
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

POSTGRESQL = os.environ.get("BENCH_POSTGRESQL", "postgres://postgres@127.0.0.1:5432")
REDIS = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/12")


class Store(AbstractContextManager["Store"]):
    """A temporary database and cache for one site."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.name = f"twofactor_bench_{secrets.token_hex(4)}"

    def environment(self) -> dict[str, str]:
        if self.kind == "sqlite":
            return {"DATABASE_URL": f"sqlite:///{self.folder / self.name}.sqlite3", "CACHE_URL": ""}
        return {"DATABASE_URL": f"{POSTGRESQL}/{self.name}", "CACHE_URL": f"{REDIS}?key_prefix={self.name}"}

    def __enter__(self) -> Self:
        if self.kind == "postgresql":
            execute(f'CREATE DATABASE "{self.name}"')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.kind == "postgresql":
            execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')
            import redis

            cache = redis.Redis.from_url(REDIS)
            for key in cache.scan_iter(f"{self.name}*", count=1000):
                cache.delete(key)
        for path in self.folder.glob(f"{self.name}*"):
            with suppress(OSError):
                path.unlink()


def execute(statement: str) -> None:
    import psycopg

    with psycopg.connect(f"{POSTGRESQL}/postgres", connect_timeout=2, autocommit=True) as server:
        server.execute(statement.encode())


def unavailable_services() -> str:
    """Return why PostgreSQL or Redis cannot be reached, or an empty string."""
    import psycopg
    import redis

    try:
        redis.Redis.from_url(REDIS, socket_timeout=2).ping()
        execute("SELECT 1")
    except (redis.RedisError, psycopg.OperationalError) as error:
        return " ".join(str(error).split())
    return ""
