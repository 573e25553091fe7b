"""What the app tells a host, by Django's signals. They are sent from events.py alone; docs/reuse.md has the table.

Each is sent after the commit of what it tells, with `sender` (the class Authenticator), `request` (None where a command
or a host's own code was the cause), `user` (whose 2FA it is), and what stands beside it here. Never with a secret or a
code. A receiver that raises neither undoes nor blocks anything: it is logged, and the others are called.
"""

import logging
from collections.abc import Callable
from typing import Any

from django import dispatch
from django.db import transaction

logger = logging.getLogger("twofactor")


class Signal(dispatch.Signal):
    """Django's, that says of a receiver which raised what and why in one line."""

    def after_commit(self, sender: Any, **told: Any) -> None:
        """Send once the transaction that surrounds this commits, and never if it does not; at once outside of one."""
        transaction.on_commit(lambda: self.send_robust(sender, **told), robust=True)

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        # Django's own adds a traceback, and raises where the receiver is an object without a name.
        name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
        logger.error("receiver failed: %s.%s: %r", receiver.__module__, name, err)


turned_on = Signal()
turned_off = Signal()  # by: "owner" or "staff"; reason: what staff said, "" from the owner
phone_changed = Signal()  # another secret took the place of the old one, which is dead
codes_regenerated = Signal()
backup_code_used = Signal()  # codes_left: int
accepted = Signal()  # method: "code" or "backup"
failed = Signal()  # method: "code" or "backup"; why: see SecondFactorForm.error_messages
locked = Signal()  # the account's budget of tries is used up; backup codes work
