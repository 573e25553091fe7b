"""The rows of the second factor.

Only methods here change a second factor and its backup codes, except for imports, key rotation and a reset by staff.
docs/architecture.md lists what changes the other rows.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator
from enum import Enum, auto
from itertools import chain
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db.models import Case, Exists, F, Q, Value, When
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from twofactor import codes, conf, totp, useragent
from twofactor.crypto import Unsealable

# A host can name the stage, the middleware or the URLs of this app and forget to install it.
if not apps.is_installed("twofactor"):
    raise ImproperlyConfigured('twofactor is not installed. Add "twofactor" to INSTALLED_APPS.')

logger = logging.getLogger("twofactor")

COUNTERS = ("failures", "delayed_until", "budget_spent", "budget_began")
# Not `F("budget_spent") - 1`: another request may have set the column to 0, and it is unsigned on MariaDB.
ONE_LESS_SPENT = Case(When(budget_spent__gt=0, then=F("budget_spent") - 1), default=0)


class Verdict(Enum):
    """The result of checking a code."""

    ACCEPTED = auto()
    WRONG = auto()
    DELAYED = auto()  # not checked, because the account is throttled
    BUSY = auto()  # not checked, because another request was checking a code of this account
    UNREADABLE = auto()  # not checked, because no key in TWOFACTOR_KEYS opens the secret


class ChangedMeanwhile(Exception):
    """The user's 2FA is no longer as the caller read it, so nothing was changed (optimistic lock)."""


def new_version() -> str:
    return secrets.token_hex(8)


def new_codes() -> tuple[bytes, list[str], list["BackupCode"]]:
    """Return a salt, ten codes as users see them, and unsaved rows without a second factor."""
    salt = codes.new_salt()
    fresh = codes.generate()
    rows = [BackupCode(digest=codes.digest(code, salt=salt).hex()) for code in fresh]
    return salt, [codes.display(code) for code in fresh], rows


class SecondFactorManager(models.Manager["SecondFactor"]):
    def for_user(self, user: Any) -> "SecondFactor | None":
        """Return the user's second factor from the database, or None if 2FA is off."""
        return self.filter(user=user).first()

    def activate(self, user: Any, *, secret: str, last_time_step: int = -1, replaces: str | None = None) -> list[str]:
        """Turn 2FA on, or replace the app, and return the ten backup codes in clear. Only their digests are stored.

        `secret`: base32. An earlier secret and its backup codes stop working.
        `last_time_step`: the time step of the code that the user typed to prove the setup; it counts as used.
        `replaces`: the version that the caller read, "" if 2FA was off. Raise ChangedMeanwhile if it has changed.
        None, the default, replaces any version.
        """
        salt, fresh, rows = new_codes()
        state = {
            "sealed_secret": conf.keyring().seal(secret, owner=str(user.pk)),
            "last_time_step": last_time_step,
            "failures": 0,
            "delayed_until": 0,
            "budget_spent": 0,
            "backup_salt": salt,
            "version": new_version(),
            "updated_at": timezone.now(),
        }
        with transaction.atomic():
            self._save(user, state, replaces)
            second_factor = self.get(user=user)
            second_factor.user = user
            second_factor._replace_codes(rows)
        return fresh

    def _save(self, user: Any, state: dict[str, Any], replaces: str | None) -> None:
        rows = self.filter(user=user)
        if replaces is not None:
            rows = rows.filter(version=replaces)
        if rows.update(**state):
            return
        if replaces:
            raise ChangedMeanwhile
        try:
            with transaction.atomic():
                self.create(user_id=user.pk, **state)
        except IntegrityError:
            raise ChangedMeanwhile from None


class SecondFactor(models.Model):
    """A user's second factor. 2FA is on while this row exists; there is no flag."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="second_factor",
        verbose_name=_("user"),
    )
    sealed_secret = models.TextField(editable=False)
    last_time_step = models.BigIntegerField(default=-1, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)  # in a row
    delayed_until = models.BigIntegerField(default=0, editable=False)  # Unix time
    budget_spent = models.PositiveIntegerField(default=0, editable=False)
    budget_began = models.BigIntegerField(default=0, editable=False)  # Unix time
    backup_salt = models.BinaryField(max_length=codes.SALT_BYTES)
    version = models.CharField(max_length=16, editable=False)  # changes with every change of 2FA
    created_at = models.DateTimeField(_("on since"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("last changed"), default=timezone.now, editable=False)

    objects = SecondFactorManager()

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return f"second factor of user {self.user_id}"

    @property
    def secret(self) -> str:
        """Return the base32 secret. Raise Unsealable if no key in TWOFACTOR_KEYS opens it."""
        return conf.keyring().unseal(self.sealed_secret, owner=str(self.user_id))

    @property
    def unsealing_error(self) -> str:
        """Return why no key in TWOFACTOR_KEYS opens the secret, "" if one does."""
        try:
            self.secret  # noqa: B018 - reading it opens it
        except Unsealable as error:
            return str(error)
        return ""

    # --- Codes from the app -------------------------------------------------------------------

    def accept(self, code: str, *, now: float | None = None) -> bool:
        """Return whether this code from the app is right, and use it up: no time step is accepted twice.

        A wrong code counts as a failure. While the account is throttled, every code is refused unchecked.
        `now` is in seconds since 1970; the default is the current time. See RFC 6238, section 5.2.
        """
        return self.judge(code, now=now) is Verdict.ACCEPTED

    def judge(self, code: str, *, now: float | None = None) -> Verdict:
        """Do what `accept` does and return a Verdict. Input that cannot be a code is WRONG and is not charged.

        Do not call this in a transaction, because a later error would roll the charge back.
        """
        now = time.time() if now is None else now
        digits = totp.normalize(code)
        if digits is None:
            return Verdict.WRONG
        secret = self._secret_for("TOTP")
        if secret is None:
            return Verdict.UNREADABLE
        if refusal := self.charge(now=now):
            return refusal
        step = totp.match_time_step(secret, digits, around=totp.time_step_at(now), drift_window=conf.drift_window())
        return Verdict.ACCEPTED if step is not None and self._use_up(step) else Verdict.WRONG

    def _use_up(self, step: int) -> bool:
        """Mark the time step as used and give the charge back; False if the step was used or 2FA has changed."""
        unused = SecondFactor.objects.filter(pk=self.pk, version=self.version, last_time_step__lt=step)
        if not unused.update(last_time_step=step, failures=0, delayed_until=0, budget_spent=ONE_LESS_SPENT):
            return False
        self.last_time_step = step
        self.failures = self.delayed_until = 0
        self.budget_spent = max(0, self.budget_spent - 1)
        return True

    def _secret_for(self, what: str) -> str | None:
        """Return the secret. If it does not open, log a critical line and return None."""
        try:
            return self.secret
        except Unsealable as error:
            logger.critical("secret does not open: user=%s: %s; %s is refused", self.user_id, error, what)
            return None

    def charge(self, *, now: float) -> Verdict | None:
        """Count one failure before a code is checked. Return None, or why the code must not be checked.

        Optimistic lock: of parallel requests that read the same counters one may check its code. The others are
        BUSY.
        """
        if self.seconds_to_wait(now=now):
            return Verdict.DELAYED
        as_read = {name: getattr(self, name) for name in COUNTERS}
        unchanged = SecondFactor.objects.filter(pk=self.pk, version=self.version, **as_read)
        return None if self._write(unchanged, **self._one_failure_more(int(now))) else Verdict.BUSY

    def _one_failure_more(self, moment: int) -> dict[str, int]:
        failures = self.failures + 1
        delay = delay_after(failures)
        window_expired = self.budget_began <= moment - conf.BUDGET_SECONDS
        return {
            "failures": failures,
            "delayed_until": moment + delay if delay else 0,
            "budget_spent": 1 if window_expired else self.budget_spent + 1,
            "budget_began": moment if window_expired else self.budget_began,
        }

    def _write(self, rows: models.QuerySet["SecondFactor"], **fields: Any) -> bool:
        """Update `rows`, which match this row if it is unchanged. Return False if they do not match it."""
        if not rows.update(**fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    def seconds_to_wait(self, *, now: float | None = None) -> int:
        """Return for how many seconds codes from the app are refused, 0 if they are checked. Does not query."""
        moment = int(time.time() if now is None else now)
        locked_until = self.budget_began + conf.BUDGET_SECONDS if self.budget_spent >= conf.BUDGET else 0
        return max(0, self.delayed_until - moment, locked_until - moment)

    @property
    def is_locked_by_this_try(self) -> bool:
        """True for the request whose failure used up the budget, and so locked the account."""
        return self.budget_spent == conf.BUDGET

    @property
    def is_fifth_failure(self) -> bool:
        """True for the request that made the fifth failure in a row, the tenth, and so on."""
        return self.failures > 0 and self.failures % conf.DELAY_FROM == 0

    @property
    def next_is_fifth_failure(self) -> bool:
        """True if the next failure will be the fifth in a row, the tenth, and so on."""
        return self.failures % conf.DELAY_FROM == conf.DELAY_FROM - 1

    def unlock_after_password_reset(self, *, now: float | None = None) -> None:
        """End the delay after a password reset by email. Once a week, also end a lock and grant twenty tries."""
        moment = int(time.time() if now is None else now)
        mine = SecondFactor.objects.filter(pk=self.pk)
        mine.update(failures=0, delayed_until=0)
        left = conf.BUDGET - conf.BUDGET_AFTER_RESET
        granted = limit_key("reset", self.user_id)
        if self.budget_spent > left and Limit.objects.hit(granted, 1, conf.RESET_SECONDS, now=moment):
            mine.filter(budget_spent__gt=left).update(budget_spent=left)

    # --- Backup codes -------------------------------------------------------------------------

    @property
    def codes_left(self) -> int:
        """Count the unused backup codes."""
        return self.backup_codes.filter(used_at=None).count()

    def spend_backup_code(self, code: str) -> bool:
        """Return whether this backup code is right, and use it up. Of parallel requests at most one succeeds."""
        return self.judge_backup_code(code) is Verdict.ACCEPTED

    def judge_backup_code(self, code: str, *, now: float | None = None) -> Verdict:
        """Do what `spend_backup_code` does and return a Verdict; see `judge` for `now`.

        Timing equalization: a wrong code costs as many hashes as a right one. A right code ends the account's delay
        and lock. Neither is true of codes imported from another app.
        """
        if self.has_imported_codes:
            return self._judge_imported_code(code, time.time() if now is None else now)
        normalized = codes.normalize(code)
        if normalized is None:
            return Verdict.WRONG
        digest = codes.digest(normalized, salt=bytes(self.backup_salt)).hex()
        spent = self._spend(digest, failures=0, delayed_until=0, budget_spent=0)
        return Verdict.ACCEPTED if spent else Verdict.WRONG

    @property
    def has_imported_codes(self) -> bool:
        """True if the backup codes were imported from another app. Those have no salt."""
        return not self.backup_salt

    def _judge_imported_code(self, code: str, now: float) -> Verdict:
        """Charge the account before checking, because codes of other apps may have few bits."""
        typed = codes.normalize_imported(code)
        if typed is None:
            return Verdict.WRONG
        secret = self._secret_for("TOTP and every backup code")
        if secret is None:
            return Verdict.UNREADABLE
        if refusal := self.charge(now=now):
            return refusal
        digest = codes.imported_digest(typed, secret=secret, owner=str(self.user_id)).hex()
        # A right code gives its own charge back. Earlier failures stay in the budget, as after a code from the app.
        fields: dict[str, Any] = {"failures": 0, "delayed_until": 0, "budget_spent": ONE_LESS_SPENT}
        for candidate in chain([digest], self._hashes_of(typed)):
            if self._spend(candidate, **fields):
                return Verdict.ACCEPTED
        return Verdict.WRONG

    def _hashes_of(self, code: str) -> Iterator[str]:
        """Yield the stored password hashes that match. Some apps store backup codes hashed like passwords."""
        unused = self.backup_codes.filter(digest__contains="$", used_at=None)
        for digest in unused.values_list("digest", flat=True):
            if check_password(code, digest):
                yield digest

    def _spend(self, digest: str, **fields: Any) -> bool:
        """Mark this code as used and write these fields, or do neither."""
        unused = self.backup_codes.filter(digest=digest, used_at=None)
        mine = SecondFactor.objects.filter(Exists(unused), pk=self.pk)
        with transaction.atomic():
            # Lock the second factor before its codes, in the same order as every change of 2FA, to avoid a deadlock.
            if not mine.update(**fields):
                return False
            if not unused.update(used_at=timezone.now()):
                transaction.set_rollback(True)
                return False
            # Refresh in the transaction, because another request may turn 2FA off right after it.
            self.refresh_from_db(fields=COUNTERS)
        return True

    def regenerate_backup_codes(self) -> list[str]:
        """Replace the backup codes and return ten new ones in clear. Raise ChangedMeanwhile if 2FA has changed."""
        salt, fresh, rows = new_codes()
        with transaction.atomic():
            self._change(backup_salt=salt)
            self._replace_codes(rows)
        return fresh

    def turn_off(self) -> None:
        """Delete this second factor and its codes. Raise ChangedMeanwhile if 2FA has changed."""
        with transaction.atomic():
            self._change()
            self.delete()

    def _change(self, **fields: Any) -> None:
        """Write these fields and a new version. Raise ChangedMeanwhile if the version has changed (optimistic lock)."""
        unchanged = SecondFactor.objects.filter(pk=self.pk, version=self.version)
        if not self._write(unchanged, version=new_version(), updated_at=timezone.now(), **fields):
            raise ChangedMeanwhile

    def _replace_codes(self, rows: list["BackupCode"]) -> None:
        self.backup_codes.all().delete()
        for row in rows:
            row.second_factor = self
        BackupCode.objects.bulk_create(rows)


def delay_after(failures: int) -> int:
    """Return for how many seconds codes are refused after this many failures in a row. It doubles, up to an hour."""
    if failures < conf.DELAY_FROM:
        return 0
    doublings = min(failures - conf.DELAY_FROM, 32)
    return min(conf.DELAY_LONGEST, conf.DELAY_FIRST * 2**doublings)


class BackupCode(models.Model):
    """One backup code. Each has its own row, so that one UPDATE uses it up."""

    second_factor = models.ForeignKey(SecondFactor, models.CASCADE, related_name="backup_codes")
    digest = models.CharField(max_length=255)  # hexadecimal; a password hash if imported from some apps
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["second_factor", "digest"], name="backup_code_once"),)

    def __str__(self) -> str:
        return f"backup code of {self.second_factor_id}"


CLOSED = 1_000_000  # hits of a limit that takes no more of them, such as the tries of a completed sign-in


class LimitManager(models.Manager["Limit"]):
    def hit(self, key: str, amount: int, seconds: int, *, now: float | None = None) -> bool:
        """Count one hit under this key. Return False, and count nothing, after `amount` hits in `seconds`.

        The first hit begins the window. Up to twice `amount` is therefore possible in a short time around the end of
        a window. `now` is in seconds since 1970; the default is the current time. Do not call this in a transaction,
        because a later error would roll the hit back.
        """
        moment = int(time.time() if now is None else now)
        has_ended = Q(ends_at__lte=moment)
        open_rows = self.filter(has_ended | Q(hits__lt=amount), pk=key)
        # `hits` comes first: MariaDB assigns from left to right, and would read the new `ends_at`.
        counted = {
            "hits": Case(When(has_ended, then=1), default=F("hits") + 1),
            "ends_at": Case(
                When(has_ended, then=Value(moment + seconds)), default="ends_at", output_field=models.BigIntegerField()
            ),
        }
        if open_rows.update(**counted):
            return True
        try:
            with transaction.atomic():
                self.create(pk=key, hits=1, ends_at=moment + seconds)
        except IntegrityError:  # the row is at its limit, or another request has just created it
            return open_rows.update(**counted) == 1
        return True

    def give_back(self, *keys: str) -> None:
        """Take back one hit under each of these keys, but none of a closed limit."""
        self.filter(pk__in=keys, hits__gt=0, hits__lt=CLOSED).update(hits=F("hits") - 1)

    def clear(self, *keys: str) -> None:
        """Take back every hit under these keys. The rows stay, because a parallel `hit` may count on its row."""
        self.filter(pk__in=keys).update(hits=0)

    def hits_and_wait(self, key: str, *, now: float | None = None) -> tuple[int, int]:
        """Return the hits in this window, and the seconds until it ends."""
        moment = int(time.time() if now is None else now)
        row = self.filter(pk=key, ends_at__gt=moment).values_list("hits", "ends_at").first()
        return (row[0], row[1] - moment) if row else (0, 0)


class Limit(models.Model):
    """The hits under one key in one window of time. The first hit creates the row, and pruning deletes it."""

    key = models.CharField(primary_key=True, max_length=100)
    hits = models.PositiveIntegerField()
    ends_at = models.BigIntegerField(db_index=True)  # Unix time

    objects = LimitManager()

    def __str__(self) -> str:
        return f"limit {self.key}"


def limit_key(name: str, subject: object) -> str:
    """Return a key for Limit: a hash, because the subject may be an address, an IP address or a session key."""
    return f"{name}:{salted_hmac('twofactor.limits', str(subject), algorithm='sha256').hexdigest()}"


class TrustedBrowser(models.Model):
    """A browser whose cookie replaces the code until it expires, or until the password or 2FA changes."""

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
        """Return the SHA-256 of a token. Tokens have 256 random bits, so they need no slow hash."""
        return hashlib.sha256(token.encode()).hexdigest()


class SecurityEvent(models.Model):
    """Something that happened to a user's second factor. The settings page lists the user's own events."""

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
