"""The email backends: SMTP in the background, with three tries, and the terminal."""

import subprocess
import sys
import threading

import pytest
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends import smtp

from config.mail import BackgroundBackend, TerminalBackend, flush
from config.tests import mail_process

LINK = "https://2fa.example/secret-link/"


class MailServer:
    """A mail server in place of SMTP. It answers after `release()`, and refuses the first `refusals` tries."""

    refusals = tries = 0

    def __init__(self):
        self.received, self.released = [], threading.Event()

    def release(self):
        self.released.set()
        flush()

    def send_messages(self, messages):
        self.released.wait(10)
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
    reason = "ConnectionRefusedError: [Errno 111] Connection refused"
    assert record.getMessage() == f"email not sent: subject='Confirm your address': {reason}"
    assert record.exc_info is None


@pytest.mark.parametrize("arguments, shown", [(["5", "answers"], "sent Hello"), (["0"], "the process ended before")])
def test_a_process_sends_its_last_email_before_it_ends_unless_the_mail_server_hangs(arguments, shown):
    command = [sys.executable, "-m", mail_process.__name__, *arguments]
    done = subprocess.run(command, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True, timeout=60)
    assert shown in done.stdout + done.stderr


def test_the_terminal_backend_prints_the_text_part(message, capsys):
    TerminalBackend().send_messages([message])
    shown = capsys.readouterr().out
    assert shown.startswith(f"To: a@example.com\nSubject: Confirm your address\n\nOpen this:\n{LINK}\n")
    assert "<p>" not in shown
