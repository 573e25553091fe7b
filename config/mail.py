"""Email backends: SMTP in the background, and the terminal for development."""

import atexit
import logging
import threading
import time
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends import base, console, smtp

logger = logging.getLogger("config.mail")
THREAD_NAME = "mail"
SHUTDOWN_SECONDS = 5  # how long a process waits for its unsent emails when it ends


class BackgroundBackend(base.BaseEmailBackend):
    """Send each email over SMTP in a thread of its own, so that no request waits for the mail server.

    Each email gets three tries. A failure is logged without the text, which may contain a link. The threads are
    daemons, so that a mail server that does not answer cannot keep the process from ending.
    """

    tries = 3
    pause = 2  # seconds between two tries

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            threading.Thread(target=self._deliver, args=[message], name=THREAD_NAME, daemon=True).start()
        return len(email_messages)

    def _deliver(self, message: EmailMessage) -> None:
        for remaining in reversed(range(self.tries)):
            try:
                smtp.EmailBackend().send_messages([message])
                break
            except Exception as error:  # noqa: BLE001 - backends raise anything, and no request is left to answer
                if not remaining:
                    logger.error("email not sent: subject=%r: %s: %s", message.subject, type(error).__name__, error)
                    break
            time.sleep(self.pause)


@atexit.register
def flush() -> None:
    """Wait until every email was sent or has failed, at most SHUTDOWN_SECONDS."""
    end = time.monotonic() + SHUTDOWN_SECONDS
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(max(0, end - time.monotonic()))
            if thread.is_alive():
                logger.error("email not sent: the process ended before the mail server answered")


class TerminalBackend(console.EmailBackend):
    """Print the recipients, the subject and the text, without the HTML alternative."""

    def write_message(self, message: EmailMessage) -> None:
        head = f"To: {', '.join(message.to)}\nSubject: {message.subject}\n"
        self.stream.write(f"{head}\n{message.body.strip()}\n{'-' * 79}\n")
