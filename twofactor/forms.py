"""The forms for a proof. One with a second factor is valid only if it was accepted, and validation uses it up.

A method of the second factor is one class in methods.METHODS.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from allauth.account import app_settings
from allauth.account.app_settings import LoginMethod
from allauth.account.utils import user_email
from django import forms
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from twofactor import backup_codes, passkeys, passwords
from twofactor.attempts import Attempt
from twofactor.base_forms import LimitedForm
from twofactor.fields import BackupCodeField, CodeField
from twofactor.models import AuthenticatorApp, BackupCode
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PASSWORD_LENGTH = 128
TOO_MANY = _("Too many wrong codes.")
# Backup codes imported from another app are throttled like codes from the app.
IMPORTED_ERROR_MESSAGES = {
    "delayed": _("Too many wrong codes. Try again in %(wait)s, or reset your password to end the wait."),
    "unreadable": _("We can't check codes right now. Please contact support."),
}


class PasswordForm(LimitedForm):
    """Step-up: the password. A user without one, who signs in through another site, is not asked for it."""

    key = ""  # no method of the second factor

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={
            "required": _("Enter your password."),
            "null_characters_not_allowed": _("Incorrect password. Try again."),
        },
    )

    def __init__(self, data: QueryDict | None = None, *, request: HttpRequest, asks_password: bool) -> None:
        super().__init__(data)
        self.request = request
        self.asks_password = asks_password
        if not asks_password:
            del self.fields["password"]

    @property
    def username(self) -> str:
        """Return the name that the user signs in with, for password managers."""
        by_email = LoginMethod.EMAIL in app_settings.LOGIN_METHODS
        user = self.request.user
        return (by_email and user_email(user)) or user.get_username()

    def clean(self) -> None:
        if "password" in self.fields and not self.errors:
            self._check_password(self.cleaned_data["password"])

    def _check_password(self, password: str) -> None:
        """Refuse a password that is too long to be right before it is hashed."""
        if len(password) > PASSWORD_LENGTH or not passwords.is_right(self.request, password):
            error = forms.ValidationError(_("Incorrect password. Try again."), code="wrong_password")
            self.add_error("password", error)


class SecondFactorForm(PasswordForm):
    """One method of the second factor, and for a step-up the password.

    A subclass has a `name`, a `title`, the text of the `link` to it, a `hint` and the template of its fields.
    """

    field_name: str
    name: "StrOrPromise"  # in the admin
    title: "StrOrPromise"
    link: "StrOrPromise"
    hint: "StrOrPromise"
    button: "StrOrPromise" = _("Continue")
    allauth_type: str  # the type that allauth.mfa records for it
    refused_event = "code_refused"  # in the log
    setup_urlname = "twofactor:setup"  # where a user without it is sent by a page that requires it
    missing: "StrOrPromise" = _("That page needs two-factor authentication. Turn it on first.")
    methods: "Iterable[type[SecondFactorForm]]" = ()  # that the page may offer. The first one is preferred.
    is_backup = False
    is_counted = True
    has_fixed_length = False  # the script can tell when it is typed
    do_not_call_in_templates = True  # templates link to the class

    error_messages = {
        "source": _("Too many wrong codes from your network. Try again in %(wait)s."),
        "busy": _("We're still checking another code for your account. Try again in a moment."),
    }

    def __init__(self, data: QueryDict | None = None, *, attempt: Attempt) -> None:
        super().__init__(data, request=attempt.request, asks_password=attempt.asks_password)
        self.attempt = attempt
        self.second_factor = attempt.second_factor
        self.fields[self.field_name] = self.make_field()

    @classmethod
    def is_available(cls, attempt: Attempt) -> bool:
        """Return whether the account has this method."""
        return True

    @property
    def passkeys_at(self) -> str:
        """Return the address at which the user's passkeys work, "" if it is this one or there are none."""
        return passkeys.elsewhere(self.request) if self.second_factor.passkey_count else ""

    @property
    def is_guessable(self) -> bool:
        return True

    def make_field(self) -> forms.CharField:
        raise NotImplementedError

    def check(self, *, now: float) -> bool:
        raise NotImplementedError

    def use_alone(self) -> None:
        """Focus the field, and submit it when it is complete. The page has no other field."""
        self.focus(self.field_name)
        self.sends_itself = self.has_fixed_length

    @cached_property
    def _available(self) -> "list[type[SecondFactorForm]]":
        return [form for form in self.methods if form.is_available(self.attempt)]

    @property
    def query(self) -> str:
        """Return the query string of a page that shows this form."""
        return "" if type(self) in self._available[:1] else f"?method={self.key}"

    @property
    def others(self) -> "list[type[SecondFactorForm]]":
        """Return the other methods of the account, for links to them."""
        return [form for form in self._available if form is not type(self)]

    def words_for(self, code: str) -> "StrOrPromise":
        """Return the message for the code of Refused."""
        if code in IMPORTED_ERROR_MESSAGES and self.second_factor.has_imported_codes:
            return IMPORTED_ERROR_MESSAGES[code]
        return self.error_messages.get(code, TOO_MANY)

    def clean(self) -> None:
        super().clean()
        if self.errors:
            return
        try:
            self.attempt.make(self)
        except Refused as refused:
            self.refuse(self.field_name, self.words_for(refused.code), refused)
            if self.is_refused("wrong") and self.attempt.is_last_try(self):
                self.add_error(self.field_name, forms.ValidationError(_("You have one try left."), code="last_try"))


class CodeForm(SecondFactorForm):
    """A code from the authenticator app."""

    key = "code"
    field_name = "code"
    name = _("Authenticator app")
    title = _("Enter your code")
    link = _("Use a code from your app")
    hint = _("The six digits your authenticator app shows now.")
    template_name = "twofactor/methods/code.html"
    allauth_type = "totp"
    has_fixed_length = True

    error_messages = {
        **SecondFactorForm.error_messages,
        "wrong": _("That code isn't right. Wait for the next one and try again."),
        "delayed": _("Too many wrong codes. Try again in %(wait)s, or use a backup code."),
        "unreadable": _("We can't check codes from your app right now. Use a backup code."),
    }

    @classmethod
    def is_available(cls, attempt: Attempt) -> bool:
        return attempt.second_factor.has_app

    def make_field(self) -> CodeField:
        return CodeField(help_text=self.hint, is_backup_code=self._is_backup_code)

    def _is_backup_code(self, typed: str) -> bool:
        imported = self.second_factor.has_imported_codes
        return (backup_codes.normalize_imported if imported else backup_codes.normalize)(typed) is not None

    @property
    def has_backup_code(self) -> bool:
        """True if a backup code was typed into the field for a code from the app."""
        return self.has_error("code", "backup_code")

    def check(self, *, now: float) -> bool:
        return AuthenticatorApp.objects.judge(self.second_factor, self.cleaned_data["code"], now=now)


class BackupCodeForm(SecondFactorForm):
    """A backup code. The throttle counts those that were imported from another app, which may have few bits."""

    key = "backup"
    field_name = "backup_code"
    name = _("Backup codes")
    title = _("Use a backup code")
    link = title
    hint = _("One of the codes you saved when you turned on two-factor authentication. Each one works once.")
    template_name = "twofactor/methods/backup.html"
    allauth_type = "recovery_codes"
    is_backup = True

    error_messages = {
        **SecondFactorForm.error_messages,
        "wrong": _("That backup code is wrong or was already used."),
    }

    @cached_property
    def is_guessable(self) -> bool:
        return self.second_factor.has_imported_codes

    def make_field(self) -> BackupCodeField:
        return BackupCodeField(help_text=self.hint, imported=self.is_guessable)

    def check(self, *, now: float) -> bool:
        return BackupCode.objects.judge(self.second_factor, self.cleaned_data["backup_code"], now=now)
