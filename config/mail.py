"""The email backend for development."""

from django.core.mail import EmailMessage
from django.core.mail.backends import console


class TerminalBackend(console.EmailBackend):
    """Print the recipients, the subject and the text, without the HTML alternative."""

    def write_message(self, message: EmailMessage) -> None:
        head = f"To: {', '.join(message.to)}\nSubject: {message.subject}\n"
        self.stream.write(f"{head}\n{message.body.strip()}\n{'-' * 79}\n")
