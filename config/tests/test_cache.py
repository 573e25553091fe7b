"""The SQLite cache: shared by all processes, and atomic where limits need it."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from config.cache import SQLiteCache

# The garbage collector closes the connections of threads that have ended.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.cache"


@pytest.fixture
def cache(path):
    return SQLiteCache(str(path), {})


def expire(path, key="k"):
    """Make a key expire."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("UPDATE cache SET expires=1 WHERE key LIKE ?", [f"%:{key}"]).rowcount == 1
    connection.close()


# --- SQLite ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, "", "é", b"\0", None, True, [1.5, 2.5], {"a": (1, 2)}])
def test_a_value_that_was_set_is_returned(cache, value):
    cache.set("k", value)
    assert cache.get("k", "nothing") == value


def test_a_missing_or_deleted_key_returns_the_default(cache):
    assert cache.get("k") is None
    assert cache.get("k", "nothing") == "nothing"
    cache.set("k", 1)
    assert cache.delete("k")
    assert not cache.delete("k")
    assert "k" not in cache


def test_all_processes_share_the_values(cache, path):
    cache.set("k", 1)
    assert SQLiteCache(str(path), {}).get("k") == 1


def test_versions_and_prefixes_keep_keys_apart(cache, path):
    cache.set("k", 1, version=1)
    cache.set("k", 2, version=2)
    assert (cache.get("k", version=1), cache.get("k", version=2)) == (1, 2)
    assert SQLiteCache(str(path), {"KEY_PREFIX": "other"}).get("k") is None


def test_an_expired_key_is_missing_and_can_be_added_again(cache, path):
    cache.set("k", 1, timeout=60)
    expire(path)
    assert cache.get("k") is None
    assert not cache.has_key("k")
    assert not cache.touch("k")
    assert cache.add("k", 2)
    assert cache.get("k") == 2


@pytest.mark.parametrize("timeout, there", [(None, True), (60, True), (0, False), (-1, False)])
def test_timeouts_have_djangos_meaning(cache, timeout, there):
    cache.set("k", 1, timeout=timeout)
    assert cache.has_key("k") is there


def test_touch_sets_a_new_timeout(cache, path):
    cache.set("k", 1)
    assert cache.touch("k", timeout=-1)
    assert cache.get("k") is None


def test_add_never_overwrites(cache):
    assert cache.add("k", 1)
    assert not cache.add("k", 2)
    assert cache.get("k") == 1


def test_only_one_of_many_threads_adds_a_key(cache):
    threads = 8
    barrier = Barrier(8)

    def race(key):
        barrier.wait()
        return cache.add(key, 1)

    with ThreadPoolExecutor(threads) as pool:
        for number in range(25):
            assert sorted(pool.map(race, [f"k{number}"] * threads)) == [False] * 7 + [True]


def test_set_many_get_many_incr_and_clear(cache):
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    assert cache.incr("a", 5) == 6
    cache.clear()
    assert cache.get_many(["a", "b"]) == {}


def test_expired_rows_are_deleted(cache, path):
    for number in range(1000):
        cache.set(f"k{number}", 1, timeout=-1)
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM cache").fetchone()
    connection.close()
    assert rows < 1000
