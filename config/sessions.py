"""Sessions in the database, read from the cache, and written by one statement a request.

Django's `cached_db` asks whether a random key is taken, writes a row when it rotates the key, reads the old row
to delete it, writes again at the end of the request, and wraps each of these in a transaction.
"""

import secrets
from typing import Any

from django.contrib.sessions.backends import cached_db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.core.cache.backends.dummy import DummyCache

HERE = "the row has this session's key"


class SessionStore(cached_db.SessionStore):
    """Rotating the key renames the row, when the response is saved.

    `_row` is where the row lies meanwhile: HERE, under an older key, or nowhere yet (None).
    """

    _row: str | None = HERE
    _cache: Any
    _session: dict[str, Any]
    _get_session: Any

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        if not getattr(self._cache, "is_on_this_machine", False):
            # A sign-out that a cache elsewhere missed would come back to life: there the database is read.
            self._cache = DummyCache("", {})

    def _validate_session_key(self, key: Any) -> bool:
        """What a cookie says is looked for only if it can be one: PostgreSQL refuses a NUL."""
        return bool(key) and len(key) >= 8 and set(key) <= set(VALID_KEY_CHARS)

    def load(self) -> dict[str, Any]:
        """As saved, from the cache or else from the row; only `save` fills the cache.

        Between reading the row and filling the cache the session may end, and would be there again.
        """
        data = self._cache.get(self.cache_key)
        return super(cached_db.SessionStore, self).load() if data is None else data

    def _get_new_session_key(self) -> str:
        """160 random bits; the primary key tells of a collision as well as a question before."""
        return secrets.token_hex(20)

    def cycle_key(self) -> None:
        self._session_cache = self._session
        if self._row is HERE:
            self._row = self.session_key
        self._session_key = self._get_new_session_key()
        self.modified = True

    def create(self) -> None:
        self._row, self._session_key = None, self._get_new_session_key()
        self.save()

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)
        session, row = self.create_model_instance(data), None if must_create else self._row
        # Before the row: a sign-out that comes between finds it and takes it away, and one that came first shows below.
        self._cache.set(self.cache_key, data, self.get_expiry_age())
        try:
            if row is None:
                session.save(force_insert=True)
            else:
                self._update(self.session_key if row is HERE else row, session)
        except BaseException:
            self._cache.delete(self.cache_key)
            raise
        self._row = HERE

    def _update(self, key: str, session: Any) -> None:
        """Write the row that has this key; UpdateError if it is gone: the person signed out meanwhile."""
        fields = {
            "session_key": session.session_key,
            "session_data": session.session_data,
            "expire_date": session.expire_date,
        }
        updated = self.model.objects.filter(session_key=key).update(**fields)
        if key != session.session_key:
            self._cache.delete(self.cache_key_prefix + key)
        if not updated:
            raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        keys = [session_key or self.session_key]
        if keys[0] == self.session_key and self._row is not HERE:
            keys.append(self._row)
        for key in filter(None, keys):
            self.model.objects.filter(session_key=key).delete()
            self._cache.delete(self.cache_key_prefix + key)

    def flush(self) -> None:
        super().flush()
        self._row = HERE
