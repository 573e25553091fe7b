"""The backup codes of a user. The prefix of a digest says how a code is checked."""

import time
from collections.abc import Iterable, Iterator

from django.contrib.auth.hashers import check_password
from django.db import models
from django.utils import timezone

from twofactor import backup_codes
from twofactor.models.second_factor import SecondFactor
from twofactor.refusals import Refused


class BackupCodeManager(models.Manager["BackupCode"]):
    def create_set(self, second_factor: SecondFactor) -> list[str]:
        """Create ten codes and return them as users see them. Only their digests are stored."""
        salt, codes = backup_codes.new_salt(), backup_codes.generate()
        self.bulk_create(
            BackupCode(second_factor=second_factor, digest=backup_codes.digest(code, salt=salt)) for code in codes
        )
        return [backup_codes.display(code) for code in codes]

    def spend(self, second_factor: SecondFactor, code: str, *, now: float | None = None) -> bool:
        """Return whether this is an unused backup code, and use it up. Of parallel requests at most one succeeds.

        A right code ends the account's delay and lock. `now` is in seconds since 1970; the default is the current time.

        Codes imported from another app may have few bits. If the set has any, a wrong code counts as a failure of the
        account, and codes are refused unchecked while it is throttled.
        """
        try:
            return self.judge(second_factor, code, now=now)
        except Refused:
            return False

    def judge(self, second_factor: SecondFactor, code: str, *, now: float | None = None) -> bool:
        """Do what `spend` does, but raise Refused if the code is not checked.

        Input that cannot be a code is wrong and is not charged. Do not call this in a transaction, because a later
        error would roll the charge back.
        """
        rows = list(self.filter(second_factor=second_factor))
        if any(row.is_imported for row in rows):
            return self._judge_imported(second_factor, rows, code, time.time() if now is None else now)
        normalized = backup_codes.normalize(code)
        if normalized is None or not self._use_up(second_factor, _own_digests(rows, normalized)):
            return False
        second_factor.unlock()
        return True

    def _judge_imported(self, second_factor: SecondFactor, rows: "list[BackupCode]", code: str, now: float) -> bool:
        typed = backup_codes.normalize_imported(code)
        app = getattr(second_factor, "app", None)
        if typed is None or app is None:  # a parallel request may have removed the app
            return False
        secret = app.secret_for("TOTP and every backup code")
        second_factor.charge(now=now)
        if not self._use_up(second_factor, _imported_digests(rows, typed, secret, owner=str(second_factor.user_id))):
            return False
        # Earlier failures stay in the budget, as after a code from the app.
        second_factor.give_back()
        return True

    def _use_up(self, second_factor: SecondFactor, digests: Iterable[str]) -> bool:
        """Mark the first unused code with one of these digests as used. Return False if there is none."""
        unused = self.filter(second_factor=second_factor, used_at=None)
        return any(unused.filter(digest=digest).update(used_at=timezone.now()) for digest in digests)


class BackupCode(models.Model):
    """One backup code. Each has its own row, so that one UPDATE uses it up."""

    second_factor = models.ForeignKey(SecondFactor, models.CASCADE, related_name="backup_codes")
    digest = models.CharField(max_length=300)  # with the prefix of `backup_codes.OWN`, `KEYED` or `PASSWORD`
    used_at = models.DateTimeField(null=True)

    objects = BackupCodeManager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["second_factor", "digest"], name="backup_code_once"),)

    def __str__(self) -> str:
        return f"backup code of {self.second_factor_id}"

    @property
    def is_imported(self) -> bool:
        """True if the code was imported from another app."""
        return not self.digest.startswith(backup_codes.OWN)


def _own_digests(rows: Iterable[BackupCode], code: str) -> Iterator[str]:
    """Yield the digest of this code under the salt of the set.

    Timing equalization: used codes have the salt too, so a wrong code costs as many hashes as a right one.
    """
    for salt in {backup_codes.salt_of(row.digest) for row in rows}:
        yield backup_codes.digest(code, salt=salt)


def _imported_digests(rows: Iterable[BackupCode], code: str, secret: str, *, owner: str) -> Iterator[str]:
    """Yield the digests that an imported code may have. Some apps store backup codes hashed like passwords."""
    yield backup_codes.imported_digest(code, secret=secret, owner=owner)
    hashed = [row.digest for row in rows if row.digest.startswith(backup_codes.PASSWORD) and row.used_at is None]
    for digest in hashed:
        if check_password(code, digest.removeprefix(backup_codes.PASSWORD)):
            yield digest
