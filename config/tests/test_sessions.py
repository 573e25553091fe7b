"""Sessions: a new key for the same row, an old key that is dead everywhere, one statement a request."""

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.sessions import SessionStore
from conftest import ON_SERVICES

# A cache that may be on another machine is not asked: a sign-out that it missed would come back to life.
READ = ["SELECT"] if ON_SERVICES else []
pytestmark = pytest.mark.django_db


@pytest.fixture
def statements():
    """The statements on the session's table, by their first word."""

    class Statements(CaptureQueriesContext):
        @property
        def words(self):
            return [q["sql"].split()[0] for q in self.captured_queries if "django_session" in q["sql"]]

    return lambda: Statements(connection)


@pytest.fixture
def saved():
    """A session that is there, as the next request reads it."""
    store = SessionStore()
    store["a"] = 1
    store.save()
    return SessionStore(store.session_key)


def keys():
    return list(Session.objects.values_list("session_key", flat=True))


def is_dead(key):
    """Neither the database nor the cache knows it."""
    return (
        key not in keys()
        and SessionStore(key).load() == {}
        and cache.get(f"{SessionStore.cache_key_prefix}{key}") is None
    )


# --- One statement --------------------------------------------------------------------------------


def test_a_new_session_is_one_insert(statements):
    with statements() as said:
        store = SessionStore()
        store["a"] = 1
        store.save()
    assert said.words == ["INSERT"]
    assert keys() == [store.session_key]
    assert len(store.session_key) == 40


def test_a_new_session_whose_key_is_rotated_at_once_is_one_insert(statements):
    with statements() as said:
        store = SessionStore()
        store["a"] = 1
        store.cycle_key()
        store.save()
    assert said.words == ["INSERT"]
    assert keys() == [store.session_key]


def test_a_session_that_changes_is_one_update_and_is_read_from_the_cache(saved, statements):
    with statements() as said:
        saved["a"] += 1
        saved.save()
    assert said.words == [*READ, "UPDATE"]
    assert SessionStore(saved.session_key)["a"] == 2


def test_without_the_cache_it_is_read_from_the_database(saved):
    cache.clear()
    assert saved["a"] == 1


# --- Rotating -------------------------------------------------------------------------------------


def test_rotating_renames_the_row_in_one_update(saved, statements):
    old = saved.session_key
    with statements() as said:
        saved.cycle_key()
        saved["b"] = 2
        saved.save()
    assert said.words == [*READ, "UPDATE"]
    assert keys() == [saved.session_key] != [old]
    assert dict(SessionStore(saved.session_key).items()) == {"a": 1, "b": 2}
    assert is_dead(old)


def test_rotating_twice_leaves_one_row_under_the_last_key(saved):
    first = saved.session_key
    saved.cycle_key()
    second = saved.session_key
    saved.cycle_key()
    saved.save()
    assert keys() == [saved.session_key]
    assert len({first, second, saved.session_key}) == 3
    assert is_dead(first)
    assert is_dead(second)


def test_saving_again_after_a_rotation_writes_the_same_row(saved):
    saved.cycle_key()
    saved.save()
    saved["c"] = 3
    saved.save()
    assert keys() == [saved.session_key]
    assert SessionStore(saved.session_key)["c"] == 3


def test_flushing_after_a_rotation_leaves_nothing(saved):
    old = saved.session_key
    saved["a"]
    saved.cycle_key()
    new = saved.session_key
    saved.flush()
    assert keys() == []
    assert is_dead(old)
    assert is_dead(new)
    assert saved.session_key is None
    saved["z"] = 1
    saved.save()
    assert keys() == [saved.session_key]


def test_a_key_that_was_made_up_gets_no_session_of_that_name():
    forged = SessionStore("f" * 32)
    forged["a"] = 1
    forged.cycle_key()
    forged.save()
    assert keys() == [forged.session_key]
    assert forged.session_key != "f" * 32


@pytest.mark.parametrize("rotates", [False, True])
def test_a_session_that_was_ended_meanwhile_is_not_brought_back(saved, rotates):
    saved["a"] += 1
    SessionStore().delete(saved.session_key)
    if rotates:
        saved.cycle_key()
    with pytest.raises(UpdateError):
        saved.save()
    assert keys() == []
    assert SessionStore(saved.session_key).load() == {}


def test_a_key_that_is_ended_is_dead_in_the_cache_too(saved):
    saved["a"]
    SessionStore().delete(saved.session_key)
    assert is_dead(saved.session_key)


class EndedAsItIsRead(SessionStore):
    def decode(self, session_data):
        SessionStore(self.session_key).delete()
        return super().decode(session_data)


class EndedAsItIsWritten(SessionStore):
    def _update(self, key, session):
        super()._update(key, session)
        SessionStore(session.session_key).delete()


def test_a_session_that_ends_while_it_is_read_is_not_brought_back(saved):
    cache.clear()
    EndedAsItIsRead(saved.session_key).load()
    assert is_dead(saved.session_key)


@pytest.mark.parametrize("rotates", [False, True])
def test_a_session_that_ends_while_it_is_written_is_not_brought_back(saved, rotates):
    busy = EndedAsItIsWritten(saved.session_key)
    busy["a"] = 2
    if rotates:
        busy.cycle_key()
    busy.save()
    assert is_dead(busy.session_key)
    assert is_dead(saved.session_key)


def test_a_session_that_cannot_be_written_is_not_in_the_cache(saved):
    late = SessionStore(saved.session_key)
    late["a"] = 2
    SessionStore(saved.session_key).delete()
    with pytest.raises(UpdateError):
        late.save()
    assert is_dead(saved.session_key)


@pytest.mark.parametrize("key", ["aaaaaaaa\0aaaa", "a" * 32 + "é", "%00" * 10, "A" * 32])
def test_what_cannot_be_a_key_is_not_looked_for(key, client):
    assert SessionStore(key).session_key is None
    client.cookies["sessionid"] = key
    assert client.get("/").status_code == 200
