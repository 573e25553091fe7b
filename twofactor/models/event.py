"""The security events of a user. events.py writes them."""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofactor import useragent


class SecurityEventManager(models.Manager["SecurityEvent"]):
    def record(self, user: AbstractBaseUser, kind: str, *, ip: str | None, user_agent: str) -> "SecurityEvent | None":
        """Create an event and return it, or None if the user was deleted meanwhile: the foreign key refuses it."""
        try:
            with transaction.atomic():
                return self.create(user_id=user.pk, kind=kind, ip=ip, user_agent=user_agent)
        except IntegrityError:
            return None


class SecurityEvent(models.Model):
    """Something that happened to a user's account. The activity page lists the user's own events."""

    class Kind(models.TextChoices):
        TURNED_ON = "turned_on", _("Two-factor authentication turned on")
        TURNED_OFF = "turned_off", _("Two-factor authentication turned off")
        CODES_REGENERATED = "codes_regenerated", _("New backup codes created")
        PASSKEY_ADDED = "passkey_added", _("Passkey added")
        PASSKEY_REMOVED = "passkey_removed", _("Passkey removed")
        PASSKEY_COPIED = "passkey_copied", _("Passkey rejected because it may have been copied")
        APP_ADDED = "app_added", _("Authenticator app added")
        APP_REMOVED = "app_removed", _("Authenticator app removed")
        PHONE_CHANGED = "phone_changed", _("Authenticator app moved to a new phone")
        BACKUP_CODE_USED = "backup_code_used", _("Backup code used")
        WRONG_CODES = "wrong_codes", _("Five wrong codes after a correct password")
        WRONG_PASSWORDS = "wrong_passwords", _("Signed out after ten wrong passwords")
        LOCKED = "locked", _("Authenticator app locked after too many wrong codes")
        RESET_BY_STAFF = "reset_by_staff", _("Two-factor authentication reset by staff")
        BROWSER_TRUSTED = "browser_trusted", _("New trusted browser")
        SIGNED_IN = "signed_in", _("Signed in")
        NEW_BROWSER = "new_browser", _("Signed in from a new browser")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        PASSWORD_RESET = "password_reset", _("Password reset by email")
        EMAIL_ADDED = "email_added", _("Email address added")
        EMAIL_CONFIRMED = "email_confirmed", _("Email address confirmed")
        EMAIL_REMOVED = "email_removed", _("Email address removed")
        EMAIL_CHANGED = "email_changed", _("Primary email address changed")
        UNLOCKED_BY_STAFF = "unlocked_by_staff", _("Authenticator app unlocked by staff")
        SESSIONS_ENDED = "sessions_ended", _("Signed out everywhere else")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="security_events")
    kind = models.CharField(max_length=32, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)

    objects = SecurityEventManager()

    class Meta:
        indexes = (models.Index(fields=["user", "-created_at"], name="security_event_latest"),)

    def __str__(self) -> str:
        return f"{self.kind} of user {self.user_id}"

    @property
    def needs_attention(self) -> bool:
        """Return whether the owner should check that they, or staff they asked, caused this event."""
        return self.kind in NEEDS_ATTENTION

    @property
    def icon(self) -> str:
        """Return the template of the icon."""
        name = "attention" if self.needs_attention else ICONS.get(self.kind, "second_factor")
        return f"twofactor/icons/{name}.html"

    @property
    def browser(self) -> str:
        return useragent.describe(self.user_agent)


Kind = SecurityEvent.Kind
SIGN_INS = (Kind.SIGNED_IN, Kind.NEW_BROWSER)
NEEDS_ATTENTION = {
    Kind.NEW_BROWSER,
    Kind.WRONG_CODES,
    Kind.WRONG_PASSWORDS,
    Kind.LOCKED,
    Kind.PASSKEY_COPIED,
    Kind.RESET_BY_STAFF,
    Kind.UNLOCKED_BY_STAFF,
}
# The name of a template in twofactor/icons/ for each kind that has neither of the other two icons.
ICONS: dict[str, str] = {
    Kind.SIGNED_IN: "sign_in",
    Kind.SESSIONS_ENDED: "sign_out",
    Kind.BROWSER_TRUSTED: "browser",
    Kind.PASSKEY_ADDED: "passkey",
    Kind.PASSKEY_REMOVED: "passkey",
    Kind.BACKUP_CODE_USED: "key",
    Kind.CODES_REGENERATED: "key",
    Kind.PASSWORD_CHANGED: "key",
    Kind.PASSWORD_RESET: "key",
    Kind.EMAIL_ADDED: "email",
    Kind.EMAIL_CONFIRMED: "email",
    Kind.EMAIL_REMOVED: "email",
    Kind.EMAIL_CHANGED: "email",
}
