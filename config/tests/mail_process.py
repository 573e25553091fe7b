"""A process that sends one email and ends: `python -m config.tests.mail_process SECONDS [answers]`.

SECONDS is how long it waits for the mail server, which answers after the main thread has ended, or never.
"""

import sys
import threading

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

from config import mail


def send_messages(backend, messages):
    threading.main_thread().join()
    if "answers" in sys.argv:
        print("sent", messages[0].subject)
    else:
        threading.Event().wait()


if __name__ == "__main__":
    settings.configure(EMAIL_BACKEND="config.mail.BackgroundBackend")
    smtp.EmailBackend.send_messages = send_messages
    mail.SHUTDOWN_SECONDS = int(sys.argv[1])
    EmailMessage("Hello", "Text", to=["a@example.com"]).send()
