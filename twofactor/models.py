"""The rows of the second factor, and the only ways to change one."""

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofactor import codes, conf, totp, useragent
from twofactor.crypto import Unsealable

if not apps.is_installed("twofactor"):  # a stage, a middleware or an address of ours is, then
    raise ImproperlyConfigured('twofactor is not installed. In the settings: "twofactor" in INSTALLED_APPS.')

logger = logging.getLogger("twofactor")

Verdict = Enum("Verdict", "ACCEPTED WRONG DELAYED UNREADABLE")
ANY = "whatever is there"
COUNTERS = ("failures", "delayed_until", "budget_spent", "budget_began")


class ChangedMeanwhile(Exception):
    """This user's 2FA is no longer what the caller saw; nothing was changed."""


def new_version() -> str:
    return secrets.token_hex(8)


def new_codes() -> tuple[bytes, list[str], list["BackupCode"]]:
    """Return a salt, ten codes as they are shown, and their rows, which belong to nobody yet."""
    salt, fresh = codes.new_salt(), codes.generate()
    rows = [BackupCode(digest=codes.digest(code, salt=salt).hex()) for code in fresh]
    return salt, [codes.display(code) for code in fresh], rows


def new_pending_id() -> str:
    return secrets.token_hex(16)


class AuthenticatorManager(models.Manager["Authenticator"]):
    def for_user(self, user: Any) -> "Authenticator | None":
        """Return the user's authenticator as it is now, or None: then 2FA is off."""
        return self.filter(user=user).first()

    def activate(self, user: Any, *, secret: str, last_time_step: int = -1, replaces: str | None = ANY) -> list[str]:
        """Turn 2FA on with this base32 secret and return the ten backup codes in clear, as they are shown.

        It is the only time they exist so. `last_time_step` is the step whose code proved that the app has the key:
        it counts as used. `replaces` is the version that the caller saw (None: 2FA was off); ChangedMeanwhile if it
        is another by now. An earlier secret and its backup codes are dead afterwards.
        """
        salt, fresh, rows = new_codes()
        state = {
            "sealed_secret": conf.keyring().seal(secret, owner=str(user.pk)),
            "last_time_step": last_time_step,
            "failures": 0,
            "delayed_until": 0,
            "budget_spent": 0,
            "backup_salt": salt,
            "codes_left": len(fresh),
            "version": new_version(),
            "updated_at": timezone.now(),
        }
        with transaction.atomic():
            self._save(user, state, replaces)
            authenticator = self.get(user=user)
            authenticator.user = user
            authenticator._replace_codes(rows)
        return fresh

    def _save(self, user: Any, state: dict[str, Any], replaces: str | None) -> None:
        known = self.filter(user=user) if replaces is ANY else self.filter(user=user, version=replaces or "")
        if known.update(**state):
            return
        if replaces not in (ANY, None):
            raise ChangedMeanwhile
        try:
            with transaction.atomic():
                self.create(user_id=user.pk, **state)
        except IntegrityError:
            raise ChangedMeanwhile from None


class Authenticator(models.Model):
    """The row that says a user's second factor is on. There is no flag beside it to get out of step."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="authenticator",
        related_query_name="twofactor_authenticator",  # allauth.mfa, where it is installed too, has the plain word
        verbose_name=_("user"),
    )
    sealed_secret = models.TextField(editable=False)
    last_time_step = models.BigIntegerField(default=-1, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)  # in a row
    delayed_until = models.BigIntegerField(default=0, editable=False)  # seconds since 1970, as all the times below
    budget_spent = models.PositiveIntegerField(default=0, editable=False)
    budget_began = models.BigIntegerField(default=0, editable=False)
    reset_granted = models.BigIntegerField(default=0, editable=False)
    failure_mailed = models.BigIntegerField(default=0, editable=False)
    backup_salt = models.BinaryField(max_length=codes.SALT_BYTES)
    # The unused ones of `backup_codes`, so that no page counts them.
    codes_left = models.SmallIntegerField(default=0, editable=False)
    # The pending sign-in that was let in or used up last, which a copy of its session does not open again.
    closed_sign_in = models.CharField(max_length=32, default="", editable=False)
    version = models.CharField(max_length=16, editable=False)  # another whenever 2FA changes
    created_at = models.DateTimeField(_("on since"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("last changed"), default=timezone.now, editable=False)

    objects = AuthenticatorManager()

    class Meta:
        verbose_name = _("authenticator")
        verbose_name_plural = _("authenticators")

    def __str__(self) -> str:
        return f"authenticator of user {self.user_id}"

    @property
    def secret(self) -> str:
        """The base32 secret; Unsealable if the keys do not open it."""
        return conf.keyring().unseal(self.sealed_secret, owner=str(self.user_id))

    @property
    def unsealing_error(self) -> str:
        """Why the keys do not open the secret; empty if they do."""
        try:
            self.secret  # noqa: B018 - it is opened, and not used
        except Unsealable as error:
            return str(error)
        return ""

    # --- Codes from the app -------------------------------------------------------------------

    def accept(self, code: str, *, now: float | None = None) -> bool:
        """Check a code and use it up: a time step is never accepted twice (RFC 6238, 5.2)."""
        return self.judge(code, now=now) is Verdict.ACCEPTED

    def judge(self, code: str, *, now: float | None = None, sign_in: str = "") -> Verdict:
        """`accept`, telling a wrong code from one that was not looked at because the account waits.

        UNREADABLE: the keys do not open the secret, so no code can be checked; it costs nothing.
        What cannot be a code is wrong and costs nothing. Nobody learns that a code was wrong before the try was
        charged. `now` is in seconds since 1970; `sign_in` is the pending sign-in that the code is for, which is let
        in once.
        """
        now = time.time() if now is None else now
        digits = totp.normalize(code)
        if digits is None:
            return Verdict.WRONG
        secret = self._secret_for("TOTP")
        if secret is None:
            return Verdict.UNREADABLE
        step = totp.match_time_step(secret, digits, around=totp.time_step_at(now), drift_window=conf.drift_window())
        while not self.seconds_to_wait(now=now):
            if step is None:
                return Verdict.WRONG if self.charge_attempt(now=now) else Verdict.DELAYED
            seen = self._counters()
            if self._use_up(step, seen, sign_in):
                return Verdict.ACCEPTED
            if not self._read_again() or seen == self._counters():
                step = None  # nobody came between: it was used before, or 2FA or this sign-in is another by now
        return Verdict.DELAYED

    def _use_up(self, step: int, seen: dict[str, int], sign_in: str) -> bool:
        """One UPDATE that only one request can win, as of the wrong codes that saw the same counters only one can.

        Were a right code to pass by these, as many codes would be looked at as come at once.
        """
        unused = Authenticator.objects.filter(pk=self.pk, version=self.version, last_time_step__lt=step, **seen)
        closed = {}
        if sign_in:
            unused, closed = unused.exclude(closed_sign_in=sign_in), {"closed_sign_in": sign_in}
        return self._write(unused, last_time_step=step, failures=0, delayed_until=0, **closed)

    def _secret_for(self, what: str) -> str | None:
        """Return the secret; None, and a loud line in the log, if it does not open."""
        try:
            return self.secret
        except Unsealable as error:
            logger.critical("secret does not open: user=%s: %s; %s is refused", self.user_id, error, what)
            return None

    def charge_attempt(self, *, now: float) -> bool:
        """Charge one try; False, and nothing charged, while the account waits.

        Of requests at once that saw the same counters one writes; the others read again. Outside any transaction: an
        error afterwards must not give the try back.
        """
        while not self.seconds_to_wait(now=now):
            mine = Authenticator.objects.filter(pk=self.pk, **self._counters())
            if self._write(mine, **self._one_failure_more(int(now))):
                return True
            if not self._read_again():
                return False
        return False

    def _counters(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTERS}

    def _read_again(self) -> bool:
        """Read the counters as they are now; False if 2FA is off by now."""
        try:
            self.refresh_from_db(fields=COUNTERS)
        except Authenticator.DoesNotExist:
            return False
        return True

    def _one_failure_more(self, moment: int) -> dict[str, int]:
        failures, window_over = self.failures + 1, self.budget_began <= moment - conf.BUDGET_SECONDS
        return {
            "failures": failures,
            "delayed_until": moment + delay if (delay := delay_after(failures)) else 0,
            "budget_spent": 1 if window_over else self.budget_spent + 1,
            "budget_began": moment if window_over else self.budget_began,
        }

    def _write(self, rows: models.QuerySet["Authenticator"], **fields: Any) -> bool:
        """Write these fields if this row is still among `rows`, and know them from then on."""
        if not rows.update(**fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    def seconds_to_wait(self, *, now: float | None = None) -> int:
        """Return for how long codes from the app are not looked at, as this row was read; 0 if they are."""
        moment = int(time.time() if now is None else now)
        locked_until = self.budget_began + conf.BUDGET_SECONDS if self.budget_spent >= conf.BUDGET else 0
        return max(0, self.delayed_until - moment, locked_until - moment)

    @property
    def is_locked_by_this_try(self) -> bool:
        """True after the failure that used the budget up, for whoever made it."""
        return self.budget_spent == conf.BUDGET

    @property
    def is_fifth_failure(self) -> bool:
        """True after the fifth failure in a row, the tenth, and so on, for whoever made it."""
        return self.failures > 0 and self.failures % conf.DELAY_FROM == 0

    @property
    def next_is_fifth_failure(self) -> bool:
        """True if one more failure is the fifth in a row, the tenth, and so on."""
        return self.failures % conf.DELAY_FROM == conf.DELAY_FROM - 1

    def has_closed(self, sign_in: str) -> bool:
        """True if another request of this pending sign-in was let in meanwhile, or used it up."""
        return Authenticator.objects.filter(pk=self.pk, closed_sign_in=sign_in).exists()

    def unlock_after_password_reset(self, *, now: float | None = None) -> None:
        """A mailed password reset ends the delay; once in a week it also opens a lock, for twenty tries."""
        moment = int(time.time() if now is None else now)
        mine = Authenticator.objects.filter(pk=self.pk)
        mine.update(failures=0, delayed_until=0)
        left = conf.BUDGET - conf.BUDGET_AFTER_RESET
        mine.filter(budget_spent__gt=left, reset_granted__lte=moment - conf.RESET_SECONDS).update(
            budget_spent=left, reset_granted=moment
        )

    def claim_failure_email(self, *, now: float | None = None) -> bool:
        """True for one caller an hour: that one mails the owner about wrong codes."""
        moment = int(time.time() if now is None else now)
        unsent = Authenticator.objects.filter(pk=self.pk, failure_mailed__lte=moment - 60 * 60)
        return unsent.update(failure_mailed=moment) == 1

    # --- Backup codes -------------------------------------------------------------------------

    def spend_backup_code(self, code: str, *, sign_in: str = "") -> bool:
        """Check a backup code and use it up, in one UPDATE that only one request can win."""
        return self.judge_backup_code(code, sign_in=sign_in) is Verdict.ACCEPTED

    def judge_backup_code(self, code: str, *, now: float | None = None, sign_in: str = "") -> Verdict:
        """`spend_backup_code`, telling a wrong code from one that was not looked at because the account waits.

        One hash whether or not the code exists. A right one opens the account's delay and lock. Neither is true of
        codes from another app.
        """
        if self.has_imported_codes:
            return self._judge_imported_code(code, time.time() if now is None else now, sign_in)
        normalized = codes.normalize(code)
        if normalized is None:
            return Verdict.WRONG
        digest = codes.digest(normalized, salt=bytes(self.backup_salt)).hex()
        spent = self._spend(digest, sign_in, failures=0, delayed_until=0, budget_spent=0)
        return Verdict.ACCEPTED if spent else Verdict.WRONG

    @property
    def has_imported_codes(self) -> bool:
        """True while the backup codes are those of the app that this second factor came from: they have no salt."""
        return not self.backup_salt

    def _judge_imported_code(self, code: str, now: float, sign_in: str) -> Verdict:
        """Codes of another app may have few bits: they are charged to the account, before they are looked at."""
        typed = codes.normalize_imported(code)
        if typed is None:
            return Verdict.WRONG
        secret = self._secret_for("TOTP and every backup code")
        if secret is None:
            return Verdict.UNREADABLE
        if not self.charge_attempt(now=now):
            return Verdict.DELAYED
        digest = codes.imported_digest(typed, secret=secret, owner=str(self.user_id)).hex()
        # Earlier failures stay charged, as they do after a code from the app.
        given_back = Greatest(F("budget_spent") - 1, 0, output_field=models.IntegerField())
        right: dict[str, Any] = {"failures": 0, "delayed_until": 0, "budget_spent": given_back}
        spent = any(self._spend(digest, sign_in, **right) for digest in chain([digest], self._hashes_of(typed)))
        return Verdict.ACCEPTED if spent else Verdict.WRONG

    def _hashes_of(self, code: str) -> Iterator[str]:
        """Where the other app kept hashes as of passwords, each of the codes that are left has one to try."""
        left = self.backup_codes.filter(digest__contains="$", used_at=None)
        yield from (digest for digest in left.values_list("digest", flat=True) if check_password(code, digest))

    def _spend(self, digest: str, sign_in: str, **fields: Any) -> bool:
        """Use this code up and write these fields, or do neither; a sign-in that is closed uses none up."""
        unused = self.backup_codes.filter(digest=digest, used_at=None)
        mine = Authenticator.objects.filter(Exists(unused), pk=self.pk)
        if sign_in:
            mine, fields = mine.exclude(closed_sign_in=sign_in), {**fields, "closed_sign_in": sign_in}
        with transaction.atomic():
            # The authenticator before its codes, as whatever changes 2FA does: in two orders they would deadlock.
            if not mine.update(codes_left=F("codes_left") - 1, **fields):
                return False
            if not unused.update(used_at=timezone.now()):
                transaction.set_rollback(True)
                return False
            # While the row is ours: right after the commit, another request may turn 2FA off.
            self.refresh_from_db(fields=[*COUNTERS, "codes_left"])
        return True

    def regenerate_backup_codes(self) -> list[str]:
        """Return ten new codes in clear; the old ones are dead. ChangedMeanwhile if another request came first."""
        salt, fresh, rows = new_codes()
        with transaction.atomic():
            self._change(backup_salt=salt, codes_left=len(fresh))
            self._replace_codes(rows)
        return fresh

    def turn_off(self) -> None:
        """Delete this authenticator and its codes. ChangedMeanwhile if it is another by now."""
        with transaction.atomic():
            self._change()
            self.delete()

    def _change(self, **fields: Any) -> None:
        version, now = new_version(), timezone.now()
        if not Authenticator.objects.filter(pk=self.pk, version=self.version).update(
            version=version, updated_at=now, **fields
        ):
            raise ChangedMeanwhile
        for name, value in {"version": version, "updated_at": now, **fields}.items():
            setattr(self, name, value)

    def _replace_codes(self, rows: list["BackupCode"]) -> None:
        self.backup_codes.all().delete()
        for row in rows:
            row.authenticator = self
        BackupCode.objects.bulk_create(rows)


def delay_after(failures: int) -> int:
    """Return for how many seconds the account waits after so many failures in a row."""
    if failures < conf.DELAY_FROM:
        return 0
    doublings = min(failures - conf.DELAY_FROM, 32)
    return min(conf.DELAY_LONGEST, conf.DELAY_FIRST * 2**doublings)


class BackupCode(models.Model):
    """A row a code, so that using one is one UPDATE."""

    authenticator = models.ForeignKey(Authenticator, models.CASCADE, related_name="backup_codes")
    digest = models.CharField(max_length=255)  # hexadecimal; of some other apps, a hash as of a password
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["authenticator", "digest"], name="backup_code_once"),)

    def __str__(self) -> str:
        return f"backup code of {self.authenticator_id}"


class PendingSignIn(models.Model):
    """The tries of one sign-in between its password and its code, from the first wrong code or backup code on.

    The rest of it lies in the session. A row stays until it is pruned: it says that the tries are used up.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_pending_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    tries = models.PositiveSmallIntegerField(default=0)
    began_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"pending sign-in of user {self.user_id}"

    def charge(self) -> bool:
        """Reserve one of the five tries; False if there is none left."""
        if self._count():
            return True
        try:
            with transaction.atomic():
                PendingSignIn.objects.create(pk=self.pk, user_id=self.user_id, tries=1)
        except IntegrityError:  # used up, or another request made the row just now
            return self._count()
        return True

    def _count(self) -> bool:
        left = PendingSignIn.objects.filter(pk=self.pk, tries__lt=conf.PENDING_TRIES)
        return left.update(tries=F("tries") + 1) == 1

    @property
    def has_one_try_left(self) -> bool:
        return PendingSignIn.objects.filter(pk=self.pk, tries=conf.PENDING_TRIES - 1).exists()

    @property
    def is_used_up(self) -> bool:
        return PendingSignIn.objects.filter(pk=self.pk, tries__gt=conf.PENDING_TRIES).exists()

    def end_if_used_up(self) -> bool:
        """Close this sign-in if its five tries are gone; True for the one caller who did."""
        used_up = PendingSignIn.objects.filter(pk=self.pk, tries=conf.PENDING_TRIES)
        if not used_up.update(tries=conf.PENDING_TRIES + 1):
            return False
        Authenticator.objects.filter(user_id=self.user_id).update(closed_sign_in=self.pk)
        return True


class TrustedBrowser(models.Model):
    """A browser whose cookie stands for a code until it expires, or the password or 2FA changes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="trusted_browsers")
    digest = models.CharField(max_length=64, unique=True)
    binding = models.CharField(max_length=64)
    user_agent = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"trusted browser of user {self.user_id}"

    @property
    def browser(self) -> str:
        return useragent.describe(self.user_agent)

    @staticmethod
    def digest_of(token: str) -> str:
        """A token has 256 random bits: a plain hash is all it needs."""
        return hashlib.sha256(token.encode()).hexdigest()


class SecurityEvent(models.Model):
    """Something that happened to a user's second factor, for its owner to see."""

    class Kind(models.TextChoices):
        TURNED_ON = "turned_on", _("Two-factor authentication turned on")
        TURNED_OFF = "turned_off", _("Two-factor authentication turned off")
        CODES_REGENERATED = "codes_regenerated", _("New backup codes made")
        PHONE_CHANGED = "phone_changed", _("Moved to a new phone")
        BACKUP_CODE_USED = "backup_code_used", _("Backup code used")
        WRONG_CODES = "wrong_codes", _("Right password, then five wrong codes")
        WRONG_PASSWORDS = "wrong_passwords", _("Wrong passwords in an open session")
        LOCKED = "locked", _("Codes from the app locked")
        RESET_BY_STAFF = "reset_by_staff", _("Two-factor authentication reset by staff")
        BROWSER_TRUSTED = "browser_trusted", _("Browser trusted")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="security_events")
    kind = models.CharField(max_length=32, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = (models.Index(fields=["user", "-created_at"], name="security_event_latest"),)

    def __str__(self) -> str:
        return f"{self.kind} of user {self.user_id}"

    @property
    def browser(self) -> str:
        return useragent.describe(self.user_agent)
