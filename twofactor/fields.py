"""Form fields for codes, and durations in words."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofactor import backup_codes, totp

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class SecretInput(forms.TextInput):
    """A text input that never renders what was typed, because it is a secret."""

    def format_value(self, value: object) -> None:
        return None


class CodeField(forms.CharField):
    """Six digits in any spelling. A backup code gets a separate error: `is_backup_code` recognizes one."""

    default_error_messages = {
        "required": _("Enter the code from your authenticator app."),
        "malformed": _("Enter all six digits, like 123 456."),
        "backup_code": _("That looks like a backup code."),
    }

    def __init__(self, *, help_text: "StrOrPromise", is_backup_code: Callable[[str], bool] | None = None) -> None:
        self.is_backup_code = is_backup_code or (lambda typed: backup_codes.normalize(typed) is not None)
        attrs = {
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
            "class": "tf-code",
            "data-code": True,
            "spellcheck": "false",
        }
        super().__init__(label=_("Code"), help_text=help_text, widget=SecretInput(attrs=attrs))

    def to_python(self, value: object) -> str:
        typed = super().to_python(value) or ""
        digits = totp.normalize(typed)
        if typed and digits is None:
            why = "backup_code" if self.is_backup_code(typed) else "malformed"
            raise forms.ValidationError(self.error_messages[why], code=why)
        return digits or ""


class BackupCodeField(forms.CharField):
    """Sixteen characters of Crockford's base32, in any spelling.

    `imported`: take codes of another app, which may have other characters and lengths.
    """

    default_error_messages = {
        "required": _("Enter one of your backup codes."),
        "malformed": _("A backup code has 16 letters and digits, like 7KQ2-9MXD-4RTB-W8HN."),
    }

    def __init__(self, *, help_text: "StrOrPromise", imported: bool) -> None:
        self.normalize = backup_codes.normalize_imported if imported else backup_codes.normalize
        attrs = {
            "autocomplete": "off",
            "autocapitalize": "none" if imported else "characters",
            "class": "tf-code",
            "data-code": True,
            "spellcheck": "false",
        }
        super().__init__(label=_("Backup code"), help_text=help_text, widget=SecretInput(attrs=attrs))
        if imported:
            self.error_messages["malformed"] = _("Enter the backup code the way you saved it.")

    def to_python(self, value: object) -> str:
        typed = super().to_python(value) or ""
        code = self.normalize(typed)
        if typed and code is None:
            raise forms.ValidationError(self.error_messages["malformed"], code="malformed")
        return code or ""


def trust_field(days: int) -> forms.BooleanField:
    label = ngettext("Trust this browser for %d day", "Trust this browser for %d days", days) % days
    return forms.BooleanField(label=label, required=False)


def in_words(seconds: int) -> str:
    """Return a duration in words, rounded up: 100 is "2 minutes", and 3600 is "1 hour"."""
    if seconds <= 90:
        return ngettext("%d second", "%d seconds", seconds) % seconds
    minutes = -(-seconds // 60)
    if minutes <= 90 and minutes != 60:
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    hours = -(-seconds // 3600)
    if hours <= 48:
        return ngettext("%d hour", "%d hours", hours) % hours
    days = -(-seconds // 86400)
    return ngettext("%d day", "%d days", days) % days
