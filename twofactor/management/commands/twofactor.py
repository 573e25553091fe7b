"""`manage.py twofactor status|reset|report|prune|rotate-keys|import`."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Q
from django.templatetags.tz import utc

from twofactor import adapter, conf, keys, users
from twofactor.importing import allauth, django_mfa, django_otp, pair, two_factor_auth
from twofactor.importing.users import CannotImport
from twofactor.importing.write import Source, import_users
from twofactor.models import SecondFactor
from twofactor.prune import prune
from twofactor.reset import reset

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

SOURCES: dict[str, Callable[[], Source]] = {
    "allauth": allauth.Source,
    "django-otp": django_otp.Source,
    "two-factor-auth": two_factor_auth.Source,
    "django-mfa": django_mfa.source,
    "pair": pair.Source,
}
UNREADABLE = (
    "Some secrets do not open with TWOFACTOR_KEYS. Until they do, their users can sign in with backup codes only, "
    "and not with backup codes that were imported from another app."
)


class Options(TypedDict, total=False):
    """The options of the actions; each action has some of them."""

    email: str
    reason: str
    keep_events: int
    app: str
    dry_run: bool


def days(text: str) -> int:
    if not text.isdecimal() or int(text) < conf.EVENTS_KEPT_AT_LEAST:
        raise ArgumentTypeError(f"must be at least {conf.EVENTS_KEPT_AT_LEAST} days")
    return int(text)


class Command(BaseCommand):
    help = "Manages two-factor authentication: its users, its keys and its old rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        # Django adds its own options (--settings, ...) to the command's parser, but not to the parsers of its actions.
        # SUPPRESS: an option that is not given after the action does not replace one given before it.
        own = BaseCommand().create_parser("", "", add_help=False, argument_default=SUPPRESS)
        add = partial(actions.add_parser, parents=[own])
        status = add("status", help="show whether 2FA is on for a user")
        status.add_argument("email")
        turn_off = add("reset", help="turn 2FA off for a user, end their sessions and notify them by email")
        turn_off.add_argument("email")
        turn_off.add_argument("--reason", default="no reason given", help="for the log and the email to the user")
        add("report", help="list who has 2FA on and who is required to, and check that every secret opens")
        clean = add("prune", help="delete expired trusted browsers, expired limits and old security events")
        clean.add_argument(
            "--keep-events",
            type=days,
            default=365,
            metavar="DAYS",
            help=f"days to keep security events; 365 by default, at least {conf.EVENTS_KEPT_AT_LEAST}",
        )
        add("rotate-keys", help="seal every secret with the first of TWOFACTOR_KEYS; can be stopped and run again")
        import_ = add("import", help="turn 2FA on for users who have it in another app; they keep their secrets")
        import_.add_argument("app", choices=SOURCES)
        import_.add_argument("--dry-run", action="store_true", help="show who would be imported; write nothing")

    def handle(self, *args: object, action: str, **options: Unpack[Options]) -> None:
        actions = {
            "status": self.status,
            "reset": self.reset,
            "report": self.report,
            "prune": self.prune,
            "rotate-keys": self.rotate_keys,
            "import": self.import_from,
        }
        actions[action](options)

    def status(self, options: Options) -> None:
        user = find(options["email"])
        second_factor = SecondFactor.objects.for_user(user)
        if second_factor is None:
            self.stdout.write(f"{user}: off{', but required' if adapter.current().is_required(user) else ''}")
            return
        since = f"{utc(second_factor.created_at):%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"{user}: on since {since}, {describe_backup_codes(second_factor.codes_left)}")
        if wait := second_factor.seconds_to_wait():
            self.stdout.write(f"Codes from the app are not checked for another {wait} seconds.")

    def reset(self, options: Options) -> None:
        user = find(options["email"])
        if reset(user, reason=options["reason"]):
            self.stdout.write(f"{user}: 2FA is now off. The user was notified by email.")
        else:
            self.stdout.write(f"{user}: 2FA was already off.")

    def report(self, options: Options) -> None:
        active = get_user_model()._default_manager.filter(is_active=True).select_related("second_factor")
        codes = "second_factor__backup_codes"
        active = active.annotate(unused_codes=Count(codes, filter=Q(**{f"{codes}__used_at": None})))
        on = off = missing = 0
        for user in active.order_by("pk").iterator():
            if SecondFactor.objects.for_user(user):
                on += 1
                self.stdout.write(f"on       {user}: {describe_backup_codes(user.unused_codes)}")
                continue
            off += 1
            if adapter.current().is_required(user):
                missing += 1
                self.stdout.write(f"MISSING  {user}: off, but required")
        self.stdout.write(f"{on} on, {off} off ({missing} of them required to have it)")
        opened, total = keys.check(self.stderr.write)
        self.stdout.write(f"{opened} of {total} secrets open")
        if opened < total:
            raise CommandError(UNREADABLE)

    def prune(self, options: Options) -> None:
        for what, count in prune(keep_events=options["keep_events"]):
            self.stdout.write(f"Deleted {what}: {count}")

    def rotate_keys(self, options: Options) -> None:
        sealed, failed = keys.rotate(self.stderr.write)
        kid = conf.keyring().sealing_kid
        self.stdout.write(f"Secrets sealed with key {kid}: {sealed}; secrets that do not open: {failed}")
        if failed:
            raise CommandError(UNREADABLE)

    def import_from(self, options: Options) -> None:
        app, dry_run = options["app"], options["dry_run"]
        try:
            totals = import_users(SOURCES[app](), name=app, dry_run=dry_run, output=self.stdout.write)
        except CannotImport as error:
            raise CommandError(str(error)) from None
        verb = "would be imported" if dry_run else "imported"
        self.stdout.write(
            f"Users: {totals['imported']} {verb}, with {totals['codes']} unused recovery codes; "
            f"{totals['skipped']} already have 2FA on here; {totals['refused']} cannot be imported"
        )
        if unconfirmed := totals["unconfirmed"]:
            self.stdout.write(f"{unconfirmed} of them have no confirmed email address and will get no notifications")
        if dry_run:
            self.stdout.write("Nothing was written: this was a dry run.")


def find(email: str) -> "_User":
    try:
        return users.find(email)
    except LookupError as error:
        raise CommandError(error.args[0]) from None


def describe_backup_codes(left: int) -> str:
    return f"{left or 'no'} backup {'code' if left == 1 else 'codes'} left"
