"""Mails leave beside the request: a server that is down or slow neither blocks nor undoes what it tells of."""

import atexit
import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import get_language

logger = logging.getLogger("twofactor.mail")

LAST_WORDS = 5  # seconds that a process which ends gives to mails under way
_two_at_a_time = threading.BoundedSemaphore(2)
_under_way: set[threading.Thread] = set()


def language_of(user: Any) -> str:
    """The language to write to this user in.

    That is `user.language` where users have one (empty: LANGUAGE_CODE), and else this request's, which may be a
    stranger's.
    """
    known = getattr(user, "language", None)
    return get_language() or settings.LANGUAGE_CODE if known is None else known or settings.LANGUAGE_CODE


def post(message: EmailMessage) -> None:
    """Send this in the background; a failure is logged, without the text, which may hold a link."""
    # A daemon, since a mail server that hangs must not hold up the end of the process.
    thread = threading.Thread(target=_send, args=[message], name="mail", daemon=True)
    _under_way.add(thread)
    thread.start()


def flush(timeout: float = 60) -> None:
    """Wait until everything posted is sent or failed, `timeout` seconds at most."""
    end = time.monotonic() + timeout
    for thread in list(_under_way):
        thread.join(max(0, end - time.monotonic()))


def _send(message: EmailMessage) -> None:
    try:
        with _two_at_a_time:
            message.send()
    except Exception as error:  # noqa: BLE001 - whatever a mail backend raises, the request is long over
        logger.error("mail not sent: subject=%r: %s: %s", message.subject, type(error).__name__, error)
    finally:
        _under_way.discard(threading.current_thread())


atexit.register(flush, LAST_WORDS)
