"""The security events of a user. events.py writes them."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofactor import useragent


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
