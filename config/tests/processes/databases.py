"""Databases on the PostgreSQL server of the tests."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import LiteralString

from twofactor.tests.postgresql import TEST_POSTGRESQL


def execute(statement: LiteralString, name: str) -> None:
    """Execute a statement about the database with this name, outside of it."""
    import psycopg  # imported here, since it is slow to import
    from psycopg import sql

    with closing(psycopg.connect(f"{TEST_POSTGRESQL}/postgres", autocommit=True)) as server:
        server.execute(sql.SQL(statement).format(name=sql.Identifier(name), text=sql.Literal(name)))


@contextmanager
def new_database(name: str) -> Iterator[str]:
    """Create a database, and return its URL. Drop it at the end."""
    execute("CREATE DATABASE {name}", name)
    try:
        yield f"{TEST_POSTGRESQL}/{name}"
    finally:
        execute("DROP DATABASE {name} WITH (FORCE)", name)


@contextmanager
def unreachable(name: str) -> Iterator[None]:
    """Close all connections to the database, and refuse new ones."""
    execute("ALTER DATABASE {name} ALLOW_CONNECTIONS false", name)
    execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {text}", name)
    try:
        yield
    finally:
        execute("ALTER DATABASE {name} ALLOW_CONNECTIONS true", name)
