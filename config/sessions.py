"""Django's sessions in the database. The row is the truth: deleting it ends the session at the next request."""

import re

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.crypto import get_random_string

# What this store makes, and the 40 hexadecimal digits that it made before.
KEY = re.compile(r"[a-z0-9]{32,40}")


class SessionStore(db.SessionStore):
    def __init__(self, session_key: str | None = None) -> None:
        """Look up only keys that this store makes. Others may be too long for a log, or hold a NUL."""
        super().__init__(session_key if KEY.fullmatch(session_key or "") else None)

    def cycle_key(self) -> None:
        """Rename the row. Django inserts a new one, and a session that ended meanwhile would come back."""
        self.keys()  # reads the row while it still has the old key; the key is None where there is no row
        if self.session_key is None:
            self.create()
            return
        new_key = get_random_string(32, VALID_KEY_CHARS)
        if not self.model.objects.filter(session_key=self.session_key).update(session_key=new_key):
            raise SessionInterrupted("The session has ended.")
        self._session_key = new_key
        self.modified = True
