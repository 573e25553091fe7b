"""The authenticator app of a user: the sealed secret, and the time step of the last code."""

import logging
import time
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

from twofactor import conf, times, totp
from twofactor.crypto import Unsealable
from twofactor.models.second_factor import SecondFactor
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

logger = logging.getLogger("twofactor")


class AuthenticatorAppManager(models.Manager["AuthenticatorApp"]):
    def activate(self, user: "_User", *, secret: str, last_time_step: int = -1) -> list[str]:
        """Turn 2FA on, or replace the app, and return the ten backup codes in clear. Only their digests are stored.

        `secret`: base32. An earlier secret and all earlier backup codes stop working. Beside passkeys, a first app
        leaves the backup codes as they are, and the list is empty.
        `last_time_step`: the time step of the code that the user typed to prove the setup; it counts as used.

        Raise ChangedMeanwhile if another request changed 2FA since `user` was read.
        """
        existing = SecondFactor.objects.for_user(user)
        second_factor = existing or SecondFactor(user_id=user.pk)
        with second_factor.change() as codes:
            if existing and self.filter(second_factor=existing).delete()[0]:
                existing.backup_codes.all().delete()
                existing.unlock()
            sealed = conf.keyring().seal(secret, owner=str(user.pk))
            self.create(second_factor=second_factor, sealed_secret=sealed, last_time_step=last_time_step)
        second_factor.user = user
        return codes

    def remove(self, second_factor: SecondFactor) -> list[str]:
        """Remove the app, while passkeys keep 2FA on. Raise ChangedMeanwhile if another request changed 2FA.

        Return new backup codes in clear if the old ones were imported, because those do not work without the app.
        """
        with second_factor.change() as codes:
            self.filter(second_factor=second_factor).delete()
        second_factor.refresh_from_db()  # the object would still have the app
        return codes

    def judge(self, second_factor: SecondFactor, code: str, *, now: float | None = None) -> bool:
        """Do what `judge` of the app does. Without an app, which a parallel request may have removed, return False."""
        app = getattr(second_factor, "app", None)
        return app is not None and app.judge(code, now=now)


class AuthenticatorApp(models.Model):
    """A credential: an app that generates codes (TOTP, RFC 6238)."""

    second_factor = models.OneToOneField(SecondFactor, models.CASCADE, related_name="app")
    sealed_secret = models.TextField(editable=False)
    last_time_step = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    objects = AuthenticatorAppManager()

    def __str__(self) -> str:
        return f"authenticator app of {self.second_factor_id}"

    @property
    def secret(self) -> str:
        """Return the base32 secret. Raise Unsealable if no key in TWOFACTOR_KEYS opens it."""
        return conf.keyring().unseal(self.sealed_secret, owner=str(self.second_factor.user_id))

    @property
    def unsealing_error(self) -> str:
        """Return why no key in TWOFACTOR_KEYS opens the secret, "" if one does."""
        try:
            self.secret  # noqa: B018 - reading it opens it
        except Unsealable as error:
            return str(error)
        return ""

    def secret_for(self, what: str) -> str:
        """Return the secret. If it does not open, log a critical line that `what` is refused, and raise Refused."""
        try:
            return self.secret
        except Unsealable as error:
            user = self.second_factor.user_id
            logger.critical("secret does not open: user=%s: %s; %s is refused", user, error, what)
            raise Refused("unreadable") from None

    def accept(self, code: str, *, now: float | None = None) -> bool:
        """Return whether this code is right, and use it up: no time step is accepted twice.

        A wrong code counts as a failure of the account. While the account is throttled, every code is refused
        unchecked. `now` is in seconds since 1970; the default is the current time. See RFC 6238, section 5.2.
        """
        try:
            return self.judge(code, now=now)
        except Refused:
            return False

    def judge(self, code: str, *, now: float | None = None) -> bool:
        """Do what `accept` does, but raise Refused if the code is not checked.

        Input that cannot be a code is wrong and is not charged. Do not call this in a transaction, because a later
        error would roll the charge back.
        """
        now = time.time() if now is None else now
        digits = totp.normalize(code)
        if digits is None:
            return False
        secret = self.secret_for("TOTP")
        self.second_factor.charge(now=now)
        step = totp.match_time_step(secret, digits, around=totp.time_step_at(now), drift_window=conf.drift_window())
        if step is None or not self._use_up(step, now):
            return False
        self.second_factor.give_back()
        return True

    def _use_up(self, step: int, now: float) -> bool:
        """Mark the time step as used. Return False if it was used, or if another app has replaced this one."""
        unused = AuthenticatorApp.objects.filter(pk=self.pk, last_time_step__lt=step)
        used = {"last_time_step": step, "last_used_at": times.at(now)}
        if not unused.update(**used):
            return False
        self.last_time_step = step
        return True
