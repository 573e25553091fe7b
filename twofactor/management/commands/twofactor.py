"""`manage.py twofactor status|reset|unlock|report|prune|rotate-keys|import`."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

from django.core.management.base import BaseCommand, CommandError
from django.templatetags.tz import utc

from twofactor import conf, keys, report, support, users
from twofactor.importing import allauth, django_mfa, django_otp, pair, two_factor_auth
from twofactor.importing.users import CannotImport
from twofactor.importing.write import Source, import_users
from twofactor.models import SecondFactor
from twofactor.prune import prune

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
NOTIFIED = "The user was notified by email."


class Options(TypedDict, total=False):
    """The options of the actions; each action has some of them."""

    users: list[str]
    reason: str
    write: Callable[[Iterable[report.Entry], report.Output], None] | None
    app: str
    dry_run: bool


def reason(text: str) -> str:
    try:
        return support.clean_reason(text)
    except ValueError:
        raise ArgumentTypeError("must not be empty") from None


class Command(BaseCommand):
    help = "Manages two-factor authentication: its users, its keys and its old rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        # Django adds its own options (--settings, ...) to the command's parser, but not to the parsers of its actions.
        # SUPPRESS: an option that is not given after the action does not replace one given before it.
        own = BaseCommand().create_parser("", "", add_help=False, argument_default=SUPPRESS)
        add = partial(actions.add_parser, parents=[own])
        status = add("status", help="show whether 2FA is on, and whether codes are delayed")
        reset = add("reset", help="turn 2FA off for users, end their sessions and notify them by email")
        unlock = add("unlock", help="end the delay or lock of codes after wrong ones, and notify the users by email")
        for action in (status, reset, unlock):
            action.add_argument("users", nargs="+", metavar="USER", help="an email address or username")
        why = f"for the log and the email to the user; cut at {support.REASON_LENGTH} characters"
        reset.add_argument("--reason", default=SUPPRESS, type=reason, help=why)
        unlock.add_argument("--reason", required=True, type=reason, help=why)
        show = add("report", help="list who has 2FA on and who is required to, and check that every secret opens")
        formats = show.add_mutually_exclusive_group()
        formats.add_argument("--json", dest="write", action="store_const", const=report.write_json, help="as one array")
        formats.add_argument("--csv", dest="write", action="store_const", const=report.write_csv, help="as a table")
        kept = f"{conf.event_days()} days (TWOFACTOR_EVENT_DAYS)"
        add("prune", help=f"delete expired trusted browsers, expired limits, and security events older than {kept}")
        add("rotate-keys", help="seal every secret with the first of TWOFACTOR_KEYS; can be stopped and run again")
        import_ = add("import", help="turn 2FA on for users who have it in another app; they keep their secrets")
        import_.add_argument("app", choices=SOURCES)
        import_.add_argument("--dry-run", action="store_true", help="show who would be imported; write nothing")

    def handle(self, *args: object, action: str, **options: Unpack[Options]) -> None:
        actions = {
            "status": self.status,
            "reset": self.reset,
            "unlock": self.unlock,
            "report": self.report,
            "prune": self.prune,
            "rotate-keys": self.rotate_keys,
            "import": self.import_from,
        }
        actions[action](options)

    def status(self, options: Options) -> None:
        self.for_each(options["users"], lambda user: describe(report.entry_for(user)))

    def reset(self, options: Options) -> None:
        def reset(user: "_User") -> str:
            done = support.reset(user, reason=options.get("reason", ""))
            return f"{user}: 2FA is now off. {NOTIFIED}" if done else f"{user}: 2FA was already off."

        self.for_each(options["users"], reset)

    def unlock(self, options: Options) -> None:
        def unlock(user: "_User") -> str:
            if SecondFactor.objects.for_user(user) is None:
                return f"{user}: 2FA is off."
            done = support.unlock(user, reason=options["reason"])
            return f"{user}: codes are unlocked. {NOTIFIED}" if done else f"{user}: codes were not locked."

        self.for_each(options["users"], unlock)

    def for_each(self, names: list[str], act: Callable[["_User"], str]) -> None:
        """Act on each user, and write what it says. Raise CommandError at the end if any of the users is unknown."""
        errors = []
        for name in names:
            try:
                user = users.find(name)
            except LookupError as error:
                errors.append(str(error.args[0]))
            else:
                self.stdout.write(act(user))
        if errors:
            raise CommandError("\n".join(errors))

    def report(self, options: Options) -> None:
        write = options["write"]
        if write:
            write(report.entries(), self.stdout)
        else:
            self.list_users()
        opened, total = keys.check(self.stderr.write)
        if not write:
            self.stdout.write(f"{opened} of {total} secrets open")
        if opened < total:
            raise CommandError(UNREADABLE)

    def list_users(self) -> None:
        on = off = missing = unusable = 0
        for entry in report.entries():
            unusable += entry.unusable_passkeys
            on += entry.on
            off += not entry.on
            missing += entry.required and not entry.on
            if entry.on:
                self.stdout.write(f"on       {entry.user}: {', '.join(describe_credentials(entry))}")
            elif entry.required:
                self.stdout.write(f"MISSING  {entry.user}: off, but required")
        self.stdout.write(f"{on} on, {off} off ({missing} of them required to have it)")
        if unusable:
            self.stdout.write(f"Passkeys of another domain than {conf.rp_id()}, which cannot be used: {unusable}")

    def prune(self, options: Options) -> None:
        for what, count in prune():
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
        count = totals["passkeys"]
        passkeys = f"{count} {'passkey' if count == 1 else 'passkeys'} and " if count else ""
        self.stdout.write(
            f"Users: {totals['imported']} {verb}, with {passkeys}{totals['codes']} unused recovery codes; "
            f"{totals['skipped']} already have 2FA on here; {totals['refused']} cannot be imported"
        )
        if unconfirmed := totals["unconfirmed"]:
            self.stdout.write(f"{unconfirmed} of them have no confirmed email address and will get no notifications")
        if dry_run:
            self.stdout.write("Nothing was written: this was a dry run.")


def describe(entry: report.Entry) -> str:
    if not entry.on:
        return f"{entry.user}: off{', but required' if entry.required else ''}"
    words = [f"on since {in_utc(entry.since)}", *describe_credentials(entry)]
    if entry.last_used:
        words.append(f"last used {in_utc(entry.last_used)}")
    if entry.waits_until:
        words.append(f"codes are not checked until {in_utc(entry.waits_until)}")
    if entry.secret_opens is False:
        words.append("the secret does not open")
    return f"{entry.user}: {', '.join(words)}"


def in_utc(moment: datetime | None) -> str:
    return f"{utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def describe_credentials(entry: report.Entry) -> list[str]:
    """Return the passkeys, with the app if it is beside them, and the backup codes in words."""
    words = []
    if entry.passkeys:
        words = [f"{entry.passkeys} {'passkey' if entry.passkeys == 1 else 'passkeys'}"]
        words.append("no app" if entry.secret_opens is None else "an app")
    if entry.unusable_passkeys:
        words[0] += f" ({entry.unusable_passkeys} of another domain)"
    left = entry.backup_codes_left
    return [*words, f"{left or 'no'} backup {'code' if left == 1 else 'codes'} left"]
