"""`manage.py twofactor status|reset EMAIL`, `manage.py twofactor report` and `manage.py twofactor import APP`."""

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.templatetags.tz import utc

from twofactor import adapter
from twofactor.importing import allauth, django_mfa, django_otp, pair, two_factor_auth
from twofactor.importing.person import CannotImport
from twofactor.importing.write import Source, bring_over
from twofactor.models import Authenticator
from twofactor.people import find
from twofactor.reset import reset

SOURCES: dict[str, Callable[[], Source]] = {
    "allauth": allauth.Source,
    "django-otp": django_otp.Source,
    "two-factor-auth": two_factor_auth.Source,
    "django-mfa": django_mfa.source,
    "pair": pair.Source,
}


class Command(BaseCommand):
    help = "Says who has two-factor authentication, turns it off for whoever lost everything, brings it from elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        # Django adds its own options (--settings, ...) to the command's parser, but not to the parsers of its actions.
        # SUPPRESS: without a default, they leave an option alone that comes before the action.
        own = BaseCommand().create_parser("", "", add_help=False, argument_default=SUPPRESS)
        add_action = partial(actions.add_parser, parents=[own])
        status = add_action("status", help="say whether a user has 2FA on")
        status.add_argument("email")
        turn_off = add_action("reset", help="turn a user's 2FA off, end their sessions, and mail them")
        turn_off.add_argument("email")
        turn_off.add_argument("--reason", default="no reason given", help="goes into the log and the owner's mail")
        add_action("report", help="say who has it and who must, and whether every secret opens")
        bring = add_action("import", help="turn 2FA on for whoever has it in another app; nobody scans again")
        bring.add_argument("app", choices=SOURCES)
        bring.add_argument("--dry-run", action="store_true", help="say who would come and who not; write nothing")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if action == "report":
            self.report()
            return
        if action == "import":
            self.bring(options["app"], dry_run=options["dry_run"])
            return
        try:
            user = find(options["email"])
        except LookupError as error:
            raise CommandError(error.args[0]) from None
        if action == "status":
            self.status(user)
            return
        done = reset(user, reason=options["reason"])
        self.stdout.write(
            f"{user}: 2FA is off now; the owner is told by mail." if done else f"{user}: 2FA was off already."
        )

    def status(self, user: Any) -> None:
        authenticator = Authenticator.objects.for_user(user)
        if authenticator is None:
            self.stdout.write(f"{user}: off{', but required' if adapter.current().is_required(user) else ''}")
            return
        since = f"{utc(authenticator.created_at):%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"{user}: on since {since}, {codes_left(authenticator)}")
        if wait := authenticator.seconds_to_wait():
            self.stdout.write(f"codes from the app are not looked at for another {wait} seconds")

    def report(self) -> None:
        active = get_user_model()._default_manager.filter(is_active=True).select_related("twofactor_authenticator")
        on = off = missing = 0
        for user in active.order_by("pk").iterator():
            if authenticator := getattr(user, "authenticator", None):
                on += 1
                self.stdout.write(f"on       {user}: {codes_left(authenticator)}")
                continue
            off += 1
            if adapter.current().is_required(user):
                missing += 1
                self.stdout.write(f"MISSING  {user}: off, but required")
        self.stdout.write(f"{on} on, {off} off ({missing} of them required to have it)")
        self.open_every_secret()

    def open_every_secret(self) -> None:
        """Count the secrets that open, those of inactive users too; CommandError if one does not."""
        every = opened = 0
        for authenticator in Authenticator.objects.order_by("pk").iterator():
            every += 1
            if error := authenticator.unsealing_error:
                self.stderr.write(f"user {authenticator.user_id}: {error}")
            else:
                opened += 1
        self.stdout.write(f"{opened} of {every} secrets open")
        if opened < every:
            raise CommandError(
                "Some secrets do not open with TWOFACTOR_KEYS; their owners can sign in by backup code only, "
                "and not by one that came from another app."
            )

    def bring(self, app: str, *, dry_run: bool) -> None:
        try:
            totals = bring_over(SOURCES[app](), name=app, dry_run=dry_run, say=self.stdout.write)
        except CannotImport as error:
            raise CommandError(str(error)) from None
        came, unused, already, stayed = (totals[what] for what in ("came", "codes", "already", "stayed"))
        verb = "would come" if dry_run else "came"
        self.stdout.write(
            f"{came} {verb}, with {unused} unused recovery codes; "
            f"{already} have 2FA on here already; {stayed} could not come"
        )
        if unconfirmed := totals["unconfirmed"]:
            self.stdout.write(f"{unconfirmed} of them have no confirmed email address: notices do not reach them")
        if dry_run:
            self.stdout.write("Nothing was written: this was a dry run.")


def codes_left(authenticator: Authenticator) -> str:
    left = authenticator.codes_left
    return f"{left or 'no'} backup {'code' if left == 1 else 'codes'} left"
