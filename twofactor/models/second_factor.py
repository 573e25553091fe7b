"""The second factor of a user: whether 2FA is on, its version, and its changes."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, models, transaction
from django.db.models import Count, Exists, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofactor import backup_codes, conf
from twofactor.models.limit import Limit, limit_key
from twofactor.models.throttle import Throttled


class ChangedMeanwhile(Exception):
    """The user's 2FA is no longer as the caller read it, so nothing was changed (optimistic lock)."""


class CodeCounts(NamedTuple):
    """How many backup codes are unused, how many there are, and when the last one was used."""

    left: int = 0
    total: int = 0
    last_use: datetime | None = None


class SecondFactorManager(models.Manager["SecondFactor"]):
    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> "SecondFactor | None":
        """Return the user's second factor, or None if 2FA is off. This costs no query if it was read with the user."""
        return getattr(user, "second_factor", None)

    def turn_off(self, user: AbstractBaseUser) -> bool:
        """Turn 2FA off at any version. Return False if it was off. This is for staff; owners use `change`."""
        row = self.filter(user_id=user.pk)
        with transaction.atomic():
            # Lock the row before its credentials, in the same order as `change`, to avoid a deadlock.
            was_on = row.update(version=new_version()) == 1
            row.delete()
        user.second_factor = None  # type: ignore[attr-defined] # Django would keep the deleted row on the user
        return was_on


class SecondFactor(Throttled):
    """A user's second factor. 2FA is on while this row exists; there is no flag."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="second_factor", verbose_name=_("user")
    )
    version = models.CharField(max_length=16, editable=False)  # changes with every change of 2FA
    passkey_count = models.PositiveSmallIntegerField(default=0, editable=False)  # denormalized, by `change`
    created_at = models.DateTimeField(_("on since"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("last changed"), default=timezone.now, editable=False)

    objects = SecondFactorManager()

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return f"second factor of user {self.user_id}"

    @contextmanager
    def change(self) -> Iterator[list[str]]:
        """Add and remove credentials or backup codes in this block, in a transaction.

        The first credential turns 2FA on and creates ten backup codes, and the last one turns it off. The block gets a
        list, which has the new backup codes in clear after the block, if any were created. Deleting the old ones in
        the block replaces them.

        Write a new version, which ends other sessions and trusted browsers. Raise ChangedMeanwhile if another request
        changed 2FA since this object was read (optimistic lock).
        """
        codes: list[str] = []
        with transaction.atomic():
            self._write_new_version()
            yield codes
            codes += self._complete_change()

    def _complete_change(self) -> list[str]:
        """Delete this row after its last credential. Otherwise create backup codes if there are none."""
        app, count, has_codes = self._row.values_list("app", Count("passkeys"), Exists(self.backup_codes.all())).get()
        if app is None and not count:  # backup codes alone do not keep 2FA on
            self._delete()
            return []
        if count != self.passkey_count:
            self._row.update(passkey_count=count)
            self.passkey_count = count
        if app is None and self.has_imported_codes:  # checking those takes the app's secret
            self.backup_codes.all().delete()
            has_codes = False
        return [] if has_codes else self.backup_codes.create_set(self)

    def renew_version(self) -> None:
        """Write a new version without a change of credentials. It ends other sessions and trusted browsers.

        Raise ChangedMeanwhile if another request changed 2FA.
        """
        with transaction.atomic():
            self._write_new_version()

    def _write_new_version(self) -> None:
        version, moment = new_version(), timezone.now()
        if self._state.adding:
            self._create(version)
        elif not self._row.filter(version=self.version).update(version=version, updated_at=moment):
            raise ChangedMeanwhile
        self.version, self.updated_at = version, moment

    def _create(self, version: str) -> None:
        self.version = version
        # Lock the user before the sessions that this change ends, as a deletion of the user does. Otherwise the two
        # could wait for each other. Existing rows need no such lock, because their version is updated first.
        user = get_user_model()._base_manager.select_for_update().filter(pk=self.user_id)
        if not user.exists():
            raise ChangedMeanwhile
        try:
            with transaction.atomic():
                self.save()
        except IntegrityError:
            raise ChangedMeanwhile from None

    def _delete(self) -> None:
        user = self.user
        self.delete()
        user.second_factor = None  # Django would keep the deleted row on the user

    def regenerate_backup_codes(self) -> list[str]:
        """Replace the backup codes and return ten new ones in clear. Raise ChangedMeanwhile if 2FA has changed."""
        with self.change() as codes:
            self.backup_codes.all().delete()
        return codes

    @property
    def has_app(self) -> bool:
        """Return whether there is an authenticator app. This costs a query only if there are passkeys."""
        return self.passkey_count == 0 or hasattr(self, "app")

    @property
    def credential_count(self) -> int:
        """Count the authenticator app and the passkeys. The last one goes with 2FA only."""
        return self.passkey_count + self.has_app

    @property
    def codes_left(self) -> int:
        """Count the unused backup codes."""
        return self.backup_codes.filter(used_at=None).count()

    def count_codes(self) -> CodeCounts:
        """Count the backup codes, and return when the last one was used, by one statement."""
        unused = Count("pk", filter=Q(used_at=None))
        return CodeCounts(**self.backup_codes.aggregate(left=unused, total=Count("pk"), last_use=Max("used_at")))

    @property
    def has_imported_codes(self) -> bool:
        """True if a backup code was imported from another app. Those may have few bits, so the throttle counts them."""
        return self.backup_codes.exclude(digest__startswith=backup_codes.OWN).exists()

    def turn_off(self) -> None:
        """Delete this row with its credentials and backup codes. Raise ChangedMeanwhile if 2FA has changed."""
        with transaction.atomic():
            self._write_new_version()
            self._delete()

    def unlock_after_password_reset(self, *, now: float | None = None) -> None:
        """End the delay after a password reset by email. Once a week, also end a lock and grant twenty tries."""
        moment = int(time.time() if now is None else now)
        self._row.update(failures=0, delayed_until=0)
        left = conf.BUDGET - conf.BUDGET_AFTER_RESET
        granted = limit_key("reset", self.user_id)
        if self.budget_spent > left and Limit.objects.hit(granted, 1, conf.RESET_SECONDS, now=moment):
            self._row.filter(budget_spent__gt=left).update(budget_spent=left)


def new_version() -> str:
    return secrets.token_hex(8)
