"""Signals for the host. Only events.py sends them; docs/reuse.md has a table.

Each signal is sent after the commit of the change, with the arguments `sender` (the class SecondFactor), `user` (the
owner), `request` (None if a command or the host's own code made the change), and those named beside it below. None of
them contains a secret or a code. A receiver that raises is logged. It blocks neither the change nor other receivers.
"""

import logging

from django import dispatch
from django.db import transaction

logger = logging.getLogger("twofactor")


class Signal(dispatch.Signal):
    """Django's Signal, which logs a failing receiver in one line, without a traceback."""

    def after_commit(self, sender: object, **arguments: object) -> None:
        """Send after the current transaction commits, or at once outside a transaction."""
        transaction.on_commit(lambda: self.send_robust(sender, **arguments), robust=True)

    def _log_robust_failure(self, receiver: object, err: Exception) -> None:
        # Django's method adds a traceback, and raises if the receiver is an instance, which has no __qualname__.
        name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
        logger.error("receiver failed: %s.%s: %r", receiver.__module__, name, err)


turned_on = Signal()  # by: the first credential, "app" or "passkey"
turned_off = Signal()  # by: "owner" or "staff"; reason: given by staff, "" from the owner
passkey_added = Signal()
passkey_removed = Signal()
passkey_copied = Signal()  # the sign count of a passkey went back, so it was refused
app_added = Signal()  # beside passkeys
app_removed = Signal()  # passkeys stay
phone_changed = Signal()  # a new secret replaced the old one, which no longer works
codes_regenerated = Signal()
backup_code_used = Signal()  # codes_left: int
accepted = Signal()  # method: a key of methods.METHODS
failed = Signal()  # method: a key of methods.METHODS; why: a code of Refused
locked = Signal()  # codes from the app are refused; backup codes still work, unless they were imported
