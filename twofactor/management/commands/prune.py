"""`manage.py prune`: delete sessions, trusted browsers, sign-ins and security events that are over."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from twofactor import conf
from twofactor.prune import prune


def days(text: str) -> int:
    if not text.isdecimal() or int(text) < conf.EVENTS_KEPT_AT_LEAST:
        raise ArgumentTypeError(f"{conf.EVENTS_KEPT_AT_LEAST} days at least.")
    return int(text)


class Command(BaseCommand):
    help = "Deletes what is over, in small batches: it can be killed and run again, and run beside a busy site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--keep-events",
            type=days,
            default=365,
            metavar="DAYS",
            help="for how long security events are kept; 365 unless told, 90 at least",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for what, count in prune(keep_events=options["keep_events"]):
            self.stdout.write(f"{count} {what}")
