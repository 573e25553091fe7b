"""Mails leave beside the request: a server that is down or slow neither blocks nor undoes what it tells of."""

import atexit
import logging
import threading
import time
from typing import Any

from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.account.utils import user_email
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import get_language

logger = logging.getLogger("twofactor.mail")

SHUTDOWN_SECONDS = 5  # seconds that a process which ends gives to mails under way
_two_at_a_time = threading.BoundedSemaphore(2)
_under_way: set[threading.Thread] = set()


def language_of(user: Any) -> str:
    """The language to write to this user in.

    That is `user.language` where users have one (empty: LANGUAGE_CODE), and else this request's, which may be a
    stranger's.
    """
    known = getattr(user, "language", None)
    return get_language() or settings.LANGUAGE_CODE if known is None else known or settings.LANGUAGE_CODE


def addresses_of(user: Any) -> list[str]:
    """Where this user is told of changes: every verified address, or the user's own where the site verifies none."""
    verified = list(EmailAddress.objects.filter(user_id=user.pk, verified=True).values_list("email", flat=True))
    if verified or app_settings.EMAIL_VERIFICATION != "none":
        return verified
    return [address] if (address := user_email(user)) else []


def add_html(message: EmailMultiAlternatives, *, url: str = "", words: str = "", other_url: str = "") -> None:
    """Say in HTML what the text says; the line that is `url` becomes a button with these words and the link below it.

    The line that is `other_url` becomes a link. Made from the text, so that the two cannot differ; it is escaped, and
    no other address in it becomes a link.
    """
    blocks = [_block(paragraph.splitlines(), url) for paragraph in str(message.body).strip().split("\n\n")]
    context = {"subject": message.subject, "blocks": blocks, "url": url, "words": words, "other_url": other_url}
    message.attach_alternative(render_to_string("twofactor/email/_mail.html", context), "text/html")


def _block(lines: list[str], url: str) -> dict[str, Any]:
    """A paragraph of the text; several lines are facts, each a name and a value that keeps its own direction."""
    said, is_action = [line for line in lines if line and line != url], bool(url) and url in lines
    facts = [_fact(line) for line in said] if len(said) > 1 else []
    return {"facts": facts, "text": "" if facts else "".join(said), "is_action": is_action}


def _fact(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    return name + colon, value


def post(message: EmailMessage) -> None:
    """Send this in the background, marked as automatic (RFC 3834), so that no out-of-office reply comes back.

    A failure is logged, without the text, which may hold a link.
    """
    message.extra_headers.setdefault("Auto-Submitted", "auto-generated")
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


atexit.register(flush, SHUTDOWN_SECONDS)
