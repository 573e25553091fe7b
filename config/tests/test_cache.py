"""The cache is a table, which keeps expired rows."""

from django.core.cache import cache
from django.db import connection


def test_the_table_has_no_ip_address(client, db):
    cache.clear()
    client.post("/accounts/password/reset/", {"email": "ada@example.com"}, REMOTE_ADDR="192.0.2.77")
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key, value FROM django_cache")
        rows = cursor.fetchall()
    assert rows
    assert [row for row in rows if "192.0.2.77" in str(row) or "ada" in str(row)] == []


def test_different_keys_have_different_values(db):
    cache.set_many({"a": 1, "b": 2})
    cache.set("a", 3, version=2)
    assert (cache.get("a"), cache.get("b"), cache.get("a", version=2)) == (1, 2, 3)
