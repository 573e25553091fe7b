"""An unavailable cache behaves as an empty one: users can sign in, and the limits in the database apply."""

import itertools
import socket
import sqlite3
from contextlib import closing, suppress

import pytest
from django.core.cache import cache as default_cache

from config.cache import RedisCache, SQLiteCache
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    SETTINGS,
    VERIFY_LOGIN,
    code_now,
    give_password,
    is_signed_in,
    new_client,
    sign_in,
    wrong_code,
)

# The circuit breaker remembers each server. A new number makes a new server, with a closed circuit.
database_numbers = itertools.count()


def closed_redis_url():
    return f"redis://127.0.0.1:1/{next(database_numbers)}"


def unavailable_cache(kind, tmp_path):
    if kind == "redis":
        return RedisCache(closed_redis_url(), {})
    if kind == "no folder":
        return SQLiteCache(str(tmp_path / "nowhere" / "site.cache"), {})
    (tmp_path / "broken").write_bytes(b"this is no database " * 100)
    return SQLiteCache(str(tmp_path / "broken"), {})


@pytest.mark.parametrize("kind", ["redis", "no folder", "broken"])
def test_an_unreachable_store_behaves_as_an_empty_cache(kind, tmp_path, caplog):
    cache = unavailable_cache(kind, tmp_path)
    assert cache.get("k") is None
    assert cache.get("k", "default") == "default"
    assert cache.get("k", default="default") == "default"
    assert cache.set("k", 1, 60) is None
    assert cache.add("k", 1, 60) is True, "a lock that cannot be acquired would block every sign-in"
    assert cache.touch("k") is False
    assert cache.delete("k") is False
    assert cache.has_key("k") is False
    assert cache.get_or_set("k", 1) == 1
    assert cache.clear() is None
    assert "cache unreachable" in caplog.text


@pytest.mark.parametrize("kind", ["redis", "no folder", "broken"])
def test_calls_with_many_keys_do_not_raise(kind, tmp_path):
    cache = unavailable_cache(kind, tmp_path)
    assert cache.get_many(["a", "b"]) == {}
    cache.set_many({"a": 1})
    cache.delete_many(["a"])


def test_the_circuit_breaker_opens_after_two_timeouts_of_redis():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        cache = RedisCache(location, {"OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}})
        assert [cache.get("k", number) for number in range(20)] == list(range(20))
        silent.settimeout(0)
        assert count_connections(silent) == 2
        assert RedisCache(location, {}).add("k", 1) is True, "the circuit is open for all threads"
        assert count_connections(silent) == 0


def count_connections(server):
    """Count the connections since the last call."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            count += 1
    return count


def test_a_store_that_is_reachable_again_is_used(tmp_path):
    cache = unavailable_cache("no folder", tmp_path)
    cache.set("k", 1)
    (tmp_path / "nowhere").mkdir()
    cache.set("k", 1)
    assert cache.get("k") == 1


def test_a_corrupt_file_is_used_once_it_is_repaired(tmp_path):
    cache = unavailable_cache("broken", tmp_path)
    assert cache.get("k") is None
    (tmp_path / "broken").write_bytes(b"")
    cache.set("k", 1)
    assert cache.get("k") == 1


@pytest.fixture(params=["redis", "no folder"])
def without_cache(request, settings, tmp_path):
    """Make the site's cache unavailable."""
    where = {
        "redis": ("config.cache.RedisCache", closed_redis_url()),
        "no folder": ("config.cache.SQLiteCache", str(tmp_path / "x" / "y")),
    }
    backend, location = where[request.param]
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": backend, "LOCATION": location}}
    default_cache.set("k", 1)
    assert default_cache.get("k") is None


def test_users_can_sign_in_without_a_cache(without_cache, user, authenticator, secret):
    client = new_client()
    give_password(client, user)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(client)
    assert client.get("/accounts/2fa/").status_code == 200


def test_the_limits_of_account_and_sign_in_apply_without_a_cache(without_cache, user, authenticator, secret):
    client = new_client()
    give_password(client, user)
    assert [client.post(VERIFY_LOGIN, {"code": wrong_code(secret)}).status_code for _ in range(5)] == [422] * 4 + [302]
    assert Authenticator.objects.get().seconds_to_wait() > 0
    give_password(client, user)
    assert client.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429


def test_sign_out_ends_the_session_while_the_cache_is_locked(user, settings, tmp_path):
    """Another process has locked the file of the cache."""
    location = str(tmp_path / "site.cache")
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": "config.cache.SQLiteCache", "LOCATION": location}}
    client = sign_in(new_client(), user)
    thief = new_client()
    thief.cookies["sessionid"] = client.cookies["sessionid"].value
    assert thief.get(SETTINGS).status_code == 200
    with closing(sqlite3.connect(location, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        client.post("/accounts/logout/")
    assert thief.get(SETTINGS).status_code == 302
