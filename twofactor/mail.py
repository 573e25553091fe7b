"""Send emails in background threads, so that a slow or unreachable mail server neither blocks nor undoes a change."""

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

SHUTDOWN_SECONDS = 5  # how long a process waits for unsent emails when it ends
_two_at_a_time = threading.BoundedSemaphore(2)
_threads: set[threading.Thread] = set()


def language_of(user: Any) -> str:
    """Return the language for emails to this user.

    It is `user.language` (LANGUAGE_CODE if that is empty). If the user model has no such field, it is the language of
    the current request, which may be the language of an attacker.
    """
    language = getattr(user, "language", None)
    if language is None:
        language = get_language()
    return language or settings.LANGUAGE_CODE


def addresses_of(user: Any) -> list[str]:
    """Return every verified address of this user. If the site verifies none, return the user's own address."""
    verified = list(EmailAddress.objects.filter(user_id=user.pk, verified=True).values_list("email", flat=True))
    if verified or app_settings.EMAIL_VERIFICATION != "none":
        return verified
    address = user_email(user)
    return [address] if address else []


def add_html(message: EmailMultiAlternatives, *, url: str = "", words: str = "", other_url: str = "") -> None:
    """Attach an HTML version of the plain text, so that both always have the same content.

    `url`: the line with this URL becomes a button labeled `words`, with the link below it. `other_url`: the line with
    this URL becomes a link. The text is escaped, and no other URL in it becomes a link.
    """
    blocks = [_block(paragraph.splitlines(), url) for paragraph in str(message.body).strip().split("\n\n")]
    context = {"subject": message.subject, "blocks": blocks, "url": url, "words": words, "other_url": other_url}
    message.attach_alternative(render_to_string("twofactor/email/_mail.html", context), "text/html")


def _block(lines: list[str], url: str) -> dict[str, Any]:
    """Return one paragraph for the template. Several lines are names and values, each with its own text direction."""
    text = [line for line in lines if line and line != url]
    is_action = bool(url) and url in lines
    if len(text) > 1:
        return {"facts": [_fact(line) for line in text], "text": "", "is_action": is_action}
    return {"facts": [], "text": "".join(text), "is_action": is_action}


def _fact(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    return name + colon, value


def post(message: EmailMessage) -> None:
    """Send this email in the background. A failure is logged without the text, which may contain a link.

    The Auto-Submitted header (RFC 3834) prevents out-of-office replies.
    """
    message.extra_headers.setdefault("Auto-Submitted", "auto-generated")
    # A daemon thread, so that a mail server that does not answer cannot keep the process from ending.
    thread = threading.Thread(target=_send, args=[message], name="mail", daemon=True)
    _threads.add(thread)
    thread.start()


def flush(timeout: float = 60) -> None:
    """Wait until every email was sent or has failed, at most `timeout` seconds."""
    end = time.monotonic() + timeout
    for thread in list(_threads):
        thread.join(max(0, end - time.monotonic()))


def _send(message: EmailMessage) -> None:
    try:
        with _two_at_a_time:
            message.send()
    except Exception as error:  # noqa: BLE001 - backends raise anything, and no request is left to answer
        logger.error("email not sent: subject=%r: %s: %s", message.subject, type(error).__name__, error)
    finally:
        _threads.discard(threading.current_thread())


atexit.register(flush, SHUTDOWN_SECONDS)
