"""The PostgreSQL server of the tests. With TEST_DATABASE=postgresql they use it instead of SQLite."""

import os

TEST_POSTGRESQL = os.environ.get("TEST_POSTGRESQL") or "postgres://postgres@127.0.0.1:5432"
TEST_ON_POSTGRESQL = os.environ.get("TEST_DATABASE") == "postgresql"


def why_unavailable() -> str:
    """Return why the server cannot be used, or "" if it is available."""
    import psycopg  # imported here, since it is slow to import

    try:
        psycopg.connect(f"{TEST_POSTGRESQL}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return f"PostgreSQL is not available: {error}"
    return ""
