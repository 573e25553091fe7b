"""Mails in the terminal, for whoever works on the site."""

from django.core.mail import EmailMessage
from django.core.mail.backends import console


class TerminalBackend(console.EmailBackend):
    """To whom, about what, and the text: the HTML beside it says the same, in a hundred lines."""

    def write_message(self, message: EmailMessage) -> None:
        head = f"To: {', '.join(message.to)}\nSubject: {message.subject}\n"
        self.stream.write(f"{head}\n{message.body.strip()}\n{'-' * 79}\n")
