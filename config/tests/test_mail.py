"""The email backends: SMTP in the background, with three tries, and the terminal."""

import subprocess
import sys
import threading

import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends import smtp

from config.mail import BackgroundBackend, TerminalBackend, flush

LINK = "https://2fa.example/secret-link/"


class MailServer:
    """A mail server in place of SMTP. It answers after `release()`, and refuses the first `refusals` tries."""

    def __init__(self):
        self.refusals = 0
        self.tries = 0
        self.received = []
        self._released = threading.Event()

    def release(self):
        self._released.set()
        flush()

    def send_messages(self, messages):
        self._released.wait(10)
        self.tries += 1
        if self.tries <= self.refusals:
            raise ConnectionRefusedError(111, "Connection refused")
        self.received += messages


@pytest.fixture
def mail_server(monkeypatch):
    server = MailServer()
    monkeypatch.setattr(smtp.EmailBackend, "send_messages", server.send_messages)
    monkeypatch.setattr(BackgroundBackend, "pause", 0)
    yield server
    server.release()


@pytest.fixture
def message():
    message = EmailMultiAlternatives("Confirm your address", f"Open this:\n{LINK}\n", to=["a@example.com"])
    message.attach_alternative("<p>Open this</p>", "text/html")
    return message


def test_an_email_is_sent_without_waiting_for_the_mail_server(mail_server, message):
    assert BackgroundBackend().send_messages([message]) == 1
    assert mail_server.received == []
    mail_server.release()
    assert mail_server.received == [message]


def test_an_email_gets_three_tries(mail_server, message, caplog):
    mail_server.refusals = 2
    BackgroundBackend().send_messages([message])
    mail_server.release()
    assert mail_server.received == [message]
    assert not caplog.text


def test_a_failure_is_logged_without_the_text(mail_server, message, caplog):
    mail_server.refusals = 3
    BackgroundBackend().send_messages([message])
    mail_server.release()
    assert (mail_server.tries, mail_server.received) == (3, [])
    (record,) = caplog.records
    assert record.getMessage() == (
        "email not sent: subject='Confirm your address': ConnectionRefusedError: [Errno 111] Connection refused"
    )
    assert record.exc_info is None


# Each process sends one email. Its mail server answers after the main thread has ended, or never.
PROCESS = """
import threading
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends import smtp
settings.configure(EMAIL_BACKEND="config.mail.BackgroundBackend")

def send_messages(backend, messages):
    threading.main_thread().join()
    if {answers}:
        print("sent", messages[0].subject)
    else:
        threading.Event().wait()

smtp.EmailBackend.send_messages = send_messages
EmailMessage("Hello", "Text", to=["a@example.com"]).send()
"""


def run_process(script):
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)


def test_a_process_sends_its_last_email_before_it_ends():
    assert run_process(PROCESS.format(answers=True)).stdout == "sent Hello\n"


def test_a_mail_server_that_hangs_does_not_keep_a_process_from_ending():
    result = run_process(PROCESS.format(answers=False) + "import config.mail\nconfig.mail.SHUTDOWN_SECONDS = 0\n")
    assert "email not sent: the process ended" in result.stderr


def test_the_terminal_backend_prints_the_text_part(message, capsys):
    TerminalBackend().send_messages([message])
    shown = capsys.readouterr().out
    assert shown.startswith(f"To: a@example.com\nSubject: Confirm your address\n\nOpen this:\n{LINK}\n")
    assert "<p>" not in shown
