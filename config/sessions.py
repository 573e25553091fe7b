"""Sessions in the database, without a cache: deleting the row ends the session at its next request."""

import re

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils import timezone
from django.utils.crypto import get_random_string

from twofactor.prune import delete_in_batches

# The keys that this store creates, and those of 40 hexadecimal digits from earlier versions.
KEY = re.compile(r"[a-z0-9]{32,40}")


class SessionStore(db.SessionStore):
    def __init__(self, session_key: str | None = None) -> None:
        """Ignore keys that have another form. They may be too long to log, or contain a NUL character."""
        super().__init__(session_key if KEY.fullmatch(session_key or "") else None)

    @classmethod
    def clear_expired(cls) -> None:
        """Delete expired rows in batches, for `manage.py clearsessions`. Django would lock the table for one DELETE."""
        delete_in_batches(cls.get_model_class().objects.filter(expire_date__lt=timezone.now()))

    def create(self) -> None:
        """Save the session under a new key.

        Django queries first whether the key exists. Of 165 random bits it does not, and the primary key guarantees it.
        """
        self._session_key = get_random_string(32, VALID_KEY_CHARS)
        self.save(must_create=True)
        self.modified = True

    def cycle_key(self) -> None:
        """Prevent session fixation by changing the key of the row.

        Django inserts a new row instead, which would bring back a session that ended concurrently. Raise
        SessionInterrupted in that case.
        """
        self.keys()  # Load the row while it has the old key. This sets session_key to None if there is no row.
        if self.session_key is None:
            self.create()
            return
        new_key = get_random_string(32, VALID_KEY_CHARS)
        if not self.model.objects.filter(session_key=self.session_key).update(session_key=new_key):
            raise SessionInterrupted("The session has ended.")
        self._session_key = new_key
        self.modified = True
