"""The cache: shared by all processes, atomic where limits need it, and empty while its store is unavailable."""

import itertools
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Barrier

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

# The garbage collector closes the connections of threads that have ended.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
# The circuit breaker remembers each server. A new number makes a new server, with a closed circuit.
database_numbers = itertools.count()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.cache"


@pytest.fixture
def cache(path):
    return SQLiteCache(str(path), {})


# --- The SQLite cache -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, "é", b"\0", None, True, {"a": (1, 2)}])
def test_all_processes_share_the_values(cache, path, value):
    cache.set("k", value)
    cache.set("k", "another version", version=2)
    assert SQLiteCache(str(path), {}).get("k", "nothing") == value
    assert SQLiteCache(str(path), {"KEY_PREFIX": "other"}).get("k") is None
    assert cache.delete("k")
    assert not cache.delete("k")
    assert cache.get("k", "nothing") == "nothing"


@pytest.mark.parametrize("timeout, there", [(None, True), (60, True), (0, False), (-1, False)])
def test_an_expired_key_is_missing_and_can_be_added_again(cache, timeout, there):
    cache.set("k", 1, timeout=timeout)
    assert (cache.has_key("k"), cache.get("k"), cache.touch("k")) == (there, 1 if there else None, there)
    assert cache.add("k", 2) is not there
    assert cache.get("k") == (1 if there else 2)


def test_set_many_get_many_incr_and_clear(cache):
    cache.set_many({"a": 1, "b": 2})
    assert cache.incr("a", 5) == 6
    assert cache.get_many(["a", "b", "c"]) == {"a": 6, "b": 2}
    cache.clear()
    assert cache.get_many(["a", "b"]) == {}


def test_only_one_of_many_threads_adds_a_key(cache):
    cache.clear()  # The first connection creates the file. SQLite does not wait for another one that does the same.
    barrier = Barrier(8)

    def race(key):
        barrier.wait()
        return cache.add(key, 1)

    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            assert sorted(pool.map(race, [f"k{number}"] * 8)) == [False] * 7 + [True]


def test_clearing_redis_leaves_the_keys_of_other_sites(services):
    url = services["CACHE_URL"].partition("?")[0]
    ours, others = (RedisCache(url, {"KEY_PREFIX": f"{services['DATABASE_URL']}-{name}"}) for name in ("a", "b"))
    for cache in (ours, others):
        cache.set("k", 1)
    ours.clear()
    assert (ours.get("k"), others.get("k")) == (None, 1)
    others.clear()


# --- An unavailable store -------------------------------------------------------------------------


def closed_redis_url():
    return f"redis://127.0.0.1:1/{next(database_numbers)}"


@pytest.mark.parametrize("kind", ["redis", "no folder", "broken"])
def test_an_unreachable_store_behaves_as_an_empty_cache(kind, tmp_path, caplog):
    (tmp_path / "broken").write_bytes(b"this is no database " * 100)
    location = {"redis": closed_redis_url(), "no folder": f"{tmp_path}/nowhere/x", "broken": f"{tmp_path}/broken"}[kind]
    cache = RedisCache(location, {}) if kind == "redis" else SQLiteCache(location, {})
    assert cache.add("k", 1, 60) is True, "a lock that cannot be acquired would block every sign-in"
    assert (cache.get("k", default="default"), cache.set("k", 1, 60), cache.get_many(["a"])) == ("default", None, {})
    assert (cache.touch("k"), cache.delete("k"), cache.has_key("k")) == (False, False, False)
    assert cache.get_or_set("k", 1) == 1
    cache.set_many({"a": 1})
    cache.delete_many(["a"])
    cache.clear()
    assert "cache unreachable" in caplog.text


def test_a_store_that_is_reachable_again_is_used(tmp_path):
    cache = SQLiteCache(str(tmp_path / "nowhere" / "site.cache"), {})
    cache.set("k", 1)
    (tmp_path / "nowhere").mkdir()
    cache.set("k", 1)
    assert cache.get("k") == 1


def test_the_circuit_breaker_opens_after_two_timeouts_of_redis():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        cache = RedisCache(location, {"OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}})
        assert [cache.get("k", number) for number in range(20)] == list(range(20))
        assert RedisCache(location, {}).add("k", 1) is True, "the circuit is open for all threads"
        silent.settimeout(0)
        connections = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                connections += 1
        assert connections == 2


@pytest.fixture(params=["redis", "no folder"])
def without_cache(request, settings, tmp_path):
    """Make the site's cache unavailable."""
    where = {
        "redis": {"BACKEND": "config.cache.RedisCache", "LOCATION": closed_redis_url()},
        "no folder": {"BACKEND": "config.cache.SQLiteCache", "LOCATION": str(tmp_path / "x" / "y")},
    }
    settings.CACHES = {**settings.CACHES, "default": where[request.param]}
    default_cache.set("k", 1)
    assert default_cache.get("k") is None


def test_users_can_sign_in_and_are_limited_without_a_cache(without_cache, user, authenticator, secret):
    client = sign_in(new_client(), user, code=code_now(secret))
    assert client.get(SETTINGS).status_code == 200
    give_password(other := new_client(), user)
    assert [other.post(VERIFY_LOGIN, {"code": wrong_code(secret)}).status_code for _ in range(5)] == [422] * 4 + [302]
    assert Authenticator.objects.get().seconds_to_wait() > 0
    give_password(other, user)
    assert other.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429
    assert not is_signed_in(other)


def test_sign_out_ends_the_session_while_the_cache_is_locked(user, settings, path):
    """Another process has locked the file of the cache."""
    where = {"BACKEND": "config.cache.SQLiteCache", "LOCATION": str(path)}
    settings.CACHES = {**settings.CACHES, "default": where}
    client, thief = sign_in(new_client(), user), new_client()
    thief.cookies["sessionid"] = client.cookies["sessionid"].value
    assert thief.get(SETTINGS).status_code == 200
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        client.post("/accounts/logout/")
    assert thief.get(SETTINGS).status_code == 302
