"""The databases of the measured sites: SQLite or PostgreSQL."""

import os
import secrets
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

POSTGRESQL = os.environ.get("BENCH_POSTGRESQL", "postgres://postgres@127.0.0.1:5432")


class Store(AbstractContextManager["Store"]):
    """A temporary database for one site."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.name = f"twofactor_bench_{secrets.token_hex(4)}"

    def environment(self) -> dict[str, str]:
        if self.kind == "sqlite":
            return {"DATABASE_URL": f"sqlite:///{self.folder / self.name}.sqlite3"}
        return {"DATABASE_URL": f"{POSTGRESQL}/{self.name}"}

    def __enter__(self) -> Self:
        if self.kind == "postgresql":
            execute(f'CREATE DATABASE "{self.name}"')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.kind == "postgresql":
            execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')
        for path in self.folder.glob(f"{self.name}*"):
            with suppress(OSError):
                path.unlink()


def execute(statement: str) -> None:
    with psycopg.connect(f"{POSTGRESQL}/postgres", connect_timeout=2, autocommit=True) as server:
        server.execute(statement.encode())


def why_unavailable() -> str:
    """Return why PostgreSQL cannot be reached, or an empty string."""
    try:
        execute("SELECT 1")
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return ""
