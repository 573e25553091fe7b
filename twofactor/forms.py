"""The forms. A form with a code is valid only if the code was accepted, and validation uses the code up."""

from typing import Any

from allauth.account import app_settings
from allauth.account.app_settings import LoginMethod
from allauth.account.utils import user_email
from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofactor import codes, conf, events, limits, passwords, setup, totp
from twofactor.models import SecondFactor, Verdict

PASSWORD_LENGTH = 128


class SecretInput(forms.TextInput):
    """A text input that never renders what was typed, because it is a secret."""

    def format_value(self, value: Any) -> None:
        return None


class CodeField(forms.CharField):
    """Six digits in any spelling. A backup code gets a separate error; `imported` is as in BackupCodeField."""

    default_error_messages = {
        "required": _("Enter the code from your authenticator app."),
        "malformed": _("A code has six digits, like 123 456."),
        "backup_code": _("That looks like a backup code."),
    }

    def __init__(self, *, imported: bool = False, **kwargs: Any) -> None:
        self.normalize_backup_code = codes.normalize_imported if imported else codes.normalize
        kwargs.setdefault("help_text", _("The six digits that your authenticator app shows now."))
        attrs = {
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
            "class": "tf-code",
            "data-code": True,
            "spellcheck": "false",
        }
        super().__init__(label=_("Code"), widget=SecretInput(attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> str:
        typed = super().to_python(value) or ""
        digits = totp.normalize(typed)
        if typed and digits is None:
            why = "backup_code" if self.normalize_backup_code(typed) else "malformed"
            raise forms.ValidationError(self.error_messages[why], code=why)
        return digits or ""


class BackupCodeField(forms.CharField):
    """Sixteen characters of Crockford's base32, in any spelling.

    `imported`: take codes of another app, which may have other characters and lengths.
    """

    default_error_messages = {
        "required": _("Enter one of your backup codes."),
        "malformed": _("A backup code has sixteen letters and digits, like 7KQ2-9MXD-4RTB-W8HN."),
    }

    def __init__(self, *, imported: bool = False, **kwargs: Any) -> None:
        self.normalize = codes.normalize_imported if imported else codes.normalize
        if imported:
            kwargs["error_messages"] = {"malformed": _("Enter a backup code as you saved it.")}
        kwargs.setdefault(
            "help_text",
            _("One of the codes you saved when you turned on two-factor authentication. It works once."),
        )
        attrs = {
            "autocomplete": "off",
            "autocapitalize": "none" if imported else "characters",
            "class": "tf-code",
            "data-code": True,
            "spellcheck": "false",
        }
        super().__init__(label=_("Backup code"), widget=SecretInput(attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> str:
        typed = super().to_python(value) or ""
        code = self.normalize(typed)
        if typed and code is None:
            raise forms.ValidationError(self.error_messages["malformed"], code="malformed")
        return code or ""


def method_of(request: HttpRequest) -> str:
    """Return the method of the second factor that this request uses: "code" or "backup"."""
    if request.method == "POST":
        return "backup" if "backup_code" in request.POST else "code"
    return "backup" if request.GET.get("method") == "backup" else "code"


def in_words(seconds: int) -> str:
    """Return a duration in words, rounded up: 100 is "2 minutes"."""
    if seconds <= 90:
        return ngettext("%d second", "%d seconds", seconds) % seconds
    minutes = -(-seconds // 60)
    if minutes <= 90:
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    hours = -(-seconds // 3600)
    if hours <= 48:
        return ngettext("%d hour", "%d hours", hours) % hours
    days = -(-seconds // 86400)
    return ngettext("%d day", "%d days", days) % days


class FocusFirstError(forms.Form):
    """A form whose first invalid field has the focus, also without JavaScript."""

    def full_clean(self) -> None:
        super().full_clean()
        invalid = [field for name, field in self.fields.items() if name in self.errors]
        if not invalid:
            return
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)
        invalid[0].widget.attrs["autofocus"] = True


class LimitedForm(FocusFirstError):
    """A form under a rate limit. If it refuses to check the input, `retry_after` is the number of seconds to wait."""

    retry_after: int | None = None
    sends_itself = False  # True if the script submits the form after the sixth digit

    @property
    def status(self) -> int:
        """Return the status code for a page with this form: 422 for errors, 429 if the input was not checked."""
        if not self.is_bound:
            return 200
        return 422 if self.retry_after is None else 429

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def has_backup_code(self) -> bool:
        """True if a backup code was typed into the field for a code from the app."""
        return self.has_error("code", "backup_code")


class SecondFactorForm(LimitedForm):
    """A code from the app or a backup code. It is charged before it is checked.

    `method`: "code" or "backup". `pending_id`: the pending sign-in that the form belongs to, "" for a signed-in user.
    """

    codes_left = 0  # set after an accepted backup code
    is_wrong = False  # True if the code was checked and is wrong
    owner_notified = False  # True after the fifth wrong code in a row, which is an event
    after_sign_in = False  # True for a signed-in user who is not asked for the password

    error_messages = {
        "wrong_code": _("That code is not right. Wait for the next one in your app and try again."),
        "wrong_backup_code": _("That is not one of your unused backup codes."),
        "delayed": _("Too many wrong codes. Codes from your app are taken again in %(wait)s; a backup code works now."),
        "source": _("Too many wrong codes from your network. Try again in %(wait)s."),
        "busy": _("Another code for your account is being checked. Try again in a moment."),
        "ended": _("Too many wrong codes."),
        "unreadable": _("Codes from your app can't be checked right now. Use a backup code."),
    }
    # Backup codes imported from another app are throttled like codes from the app.
    imported_error_messages = {
        "delayed": _(
            "Too many wrong codes. No code and no backup code is taken for %(wait)s; a password reset ends that sooner."
        ),
        "unreadable": _("Codes can't be checked right now. Please contact the people who run this site."),
    }

    def __init__(
        self,
        *args: Any,
        request: HttpRequest,
        second_factor: SecondFactor | None,
        method: str = "code",
        pending_id: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.second_factor = second_factor
        self.method = method
        self.pending_id = pending_id
        self.sign_in = limits.sign_in(pending_id) if pending_id else None
        self.field_name = "backup_code" if method == "backup" else "code"
        if second_factor:
            if imported := second_factor.has_imported_codes:
                self.error_messages = {**self.error_messages, **self.imported_error_messages}
            field_class = BackupCodeField if method == "backup" else CodeField
            self.fields[self.field_name] = field_class(imported=imported)

    def clean(self) -> dict[str, Any]:
        if not self.errors and self.second_factor:
            self.judge(self.second_factor, self.cleaned_data[self.field_name])
        return self.cleaned_data

    def judge(self, second_factor: SecondFactor, code: str) -> None:
        """Charge the source and the sign-in, check the code, and give the charges back unless it is wrong."""
        source = limits.codes_of_source(self.request)
        if not source.charge():
            self._refuse("source", wait=source.wait())
            return
        if self.sign_in and not self.sign_in.charge():
            limits.give_back(source)
            self._refuse("ended")
            return
        verdict = second_factor.judge(code) if self.method == "code" else second_factor.judge_backup_code(code)
        if verdict is Verdict.WRONG:
            self._refuse_wrong_code(second_factor)
            return
        is_completed = verdict is Verdict.ACCEPTED and (self.sign_in is None or self.sign_in.complete())
        limits.give_back(source, *([self.sign_in] if self.sign_in else []))
        if is_completed:
            self._accept(second_factor)
        else:
            self._refuse_other(verdict, second_factor)

    def _accept(self, second_factor: SecondFactor) -> None:
        if self.method == "backup":
            self.codes_left = second_factor.codes_left
            events.backup_code_used(self.request, second_factor.user, codes_left=self.codes_left)
        events.code_accepted(self.request, second_factor.user, method=self.method)

    def _refuse_other(self, verdict: Verdict, second_factor: SecondFactor) -> None:
        """Refuse a code that was not checked, or a right one whose sign-in was completed by another request."""
        if verdict is Verdict.DELAYED:
            self._refuse("delayed", wait=max(1, second_factor.seconds_to_wait()))
        elif verdict is Verdict.BUSY:
            self._refuse("busy", wait=1)
        elif verdict is Verdict.UNREADABLE:
            self._refuse("unreadable")
        else:
            self._refuse("ended")

    def _refuse_wrong_code(self, second_factor: SecondFactor) -> None:
        self.is_wrong = True
        self._refuse("wrong_backup_code" if self.method == "backup" else "wrong_code")
        self._warn_before_last_try(second_factor)
        self._notify_owner(second_factor)

    @property
    def _is_throttled_by_account(self) -> bool:
        """True if the account's throttle counts wrong codes of this method."""
        return self.method == "code" or bool(self.second_factor and self.second_factor.has_imported_codes)

    def _refuse(self, why: str, *, wait: int | None = None) -> None:
        self.retry_after = wait
        message = self.error_messages[why] % {"wait": in_words(wait)} if wait else self.error_messages[why]
        self.add_error(self.field_name, forms.ValidationError(message, code=why))
        user = self.second_factor.user  # type: ignore[union-attr] # `judge` has it
        events.code_refused(self.request, user, method=self.method, why=why)

    def _warn_before_last_try(self, second_factor: SecondFactor) -> None:
        """Add an error if one more wrong code ends the sign-in or, for a signed-in user, the session."""
        if self.sign_in:
            is_last = self.sign_in.left() == 1
        else:
            is_last = self.after_sign_in and self._is_throttled_by_account and second_factor.next_is_fifth_failure
        if is_last:
            self.add_error(self.field_name, forms.ValidationError(_("You have one try left."), code="last_try"))

    def _notify_owner(self, second_factor: SecondFactor) -> None:
        """Record a lock, and every fifth wrong code in a row. The account counts over all forms and sign-ins."""
        if not self._is_throttled_by_account:
            return
        if second_factor.is_locked_by_this_try:
            events.locked(self.request, second_factor)
        if second_factor.is_fifth_failure:
            self.owner_notified = True
            events.wrong_codes(self.request, second_factor, signed_in=self.after_sign_in)


class VerifyLoginForm(SecondFactorForm):
    """The second factor of a sign-in, with a checkbox to trust the browser if trusted browsers are on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[self.field_name].widget.attrs["autofocus"] = True
        if self.pending_id:
            # Identifies the sign-in, because another tab may still show the form of an earlier one.
            self.fields["sign_in"] = forms.CharField(widget=forms.HiddenInput, initial=self.pending_id, required=False)
        if days := conf.trust_days():
            label = ngettext("Trust this browser for %d day", "Trust this browser for %d days", days) % days
            self.fields["trust"] = forms.BooleanField(label=label, required=False)
        # A form that submits itself leaves no time to tick the checkbox.
        self.sends_itself = self.method == "code" and not days


class ConfirmForm(SecondFactorForm):
    """The second factor of a signed-in user, for a view of the host (`second_factor_required`)."""

    after_sign_in = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[self.field_name].widget.attrs["autofocus"] = True
        self.sends_itself = self.method == "code"


class ProofForm(SecondFactorForm):
    """Step-up: the password, and the second factor if 2FA is on. Every change of 2FA asks for it."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={
            "required": _("Enter your password."),
            "null_characters_not_allowed": _("That is not your password."),
        },
    )

    error_messages = {
        **SecondFactorForm.error_messages,
        "wrong_password": _("That is not your password."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A user who signs in through another site has no password. Then a code, or a recent sign-in, is the proof.
        user: Any = self.request.user
        self.has_password = user.has_usable_password()
        if not self.has_password:
            self.after_sign_in = True
            del self.fields["password"]
        if self.second_factor and "method" in self.request.GET:  # the user just switched the method
            self.fields[self.field_name].widget.attrs["autofocus"] = True

    @property
    def username(self) -> str:
        """Return the name that the user signs in with, for password managers."""
        user: Any = self.request.user
        by_email = LoginMethod.EMAIL in app_settings.LOGIN_METHODS
        return (by_email and user_email(user)) or user.get_username()

    def clean_password(self) -> str:
        """Refuse a password that is too long to be right, before it is hashed."""
        password = self.cleaned_data["password"]
        if len(password) > PASSWORD_LENGTH:
            raise forms.ValidationError(self.error_messages["wrong_password"], code="wrong_password")
        return password

    def clean(self) -> dict[str, Any]:
        if not self.errors and self.has_password:
            self._judge_password(self.cleaned_data["password"])
        return super().clean()

    def _judge_password(self, password: str) -> None:
        if not passwords.is_right(self.request, password):
            self.add_error(
                "password",
                forms.ValidationError(self.error_messages["wrong_password"], code="wrong_password"),
            )


class VerifySetupForm(LimitedForm):
    """Step 2 of setup: a code that proves that the app has the key. `time_step` is the time step of that code."""

    code = CodeField(
        help_text=_(
            "Your app now shows six digits that change every 30 seconds. Type them here to prove that it has the key."
        )
    )
    sends_itself = True

    error_messages = {
        "wrong_code": _("That code is not right. Check that you scanned this QR code, and try the next code."),
        "ahead": _("Your phone's clock is %(off)s ahead. Set it to the network's time and try the next code."),
        "behind": _("Your phone's clock is %(off)s behind. Set it to the network's time and try the next code."),
        "source": _("Too many wrong codes from your network. Try again in %(wait)s."),
    }

    def __init__(self, *args: Any, request: HttpRequest, secret: str, now: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.secret = secret
        self.now = now
        self.time_step = -1
        self.fields["code"].widget.attrs["autofocus"] = True

    def clean_code(self) -> str:
        source = limits.codes_of_source(self.request)
        if not source.charge():
            self.retry_after = source.wait()
            message = self.error_messages["source"] % {"wait": in_words(self.retry_after)}
            raise forms.ValidationError(message, code="source")
        tries = setup.tries(self.request)
        if not tries.charge():
            setup.forget(self.request)
            raise forms.ValidationError(SecondFactorForm.error_messages["ended"], code="ended")
        code = self.cleaned_data["code"]
        around = totp.time_step_at(self.now)
        step = totp.match_time_step(self.secret, code, around=around, drift_window=conf.drift_window())
        if step is None:
            if not tries.left():
                setup.forget(self.request)
            raise self._wrong(code, around)
        limits.give_back(source)
        self.time_step = step
        return code

    def _wrong(self, code: str, around: int) -> forms.ValidationError:
        """Return the error, with the clock offset if there is one. At sign-in, the offset would help an attacker."""
        offset = totp.clock_offset(self.secret, code, around=around, reach=conf.CLOCK_REACH)
        if offset is None:
            return forms.ValidationError(self.error_messages["wrong_code"], code="wrong_code")
        why = "ahead" if offset > 0 else "behind"
        return forms.ValidationError(self.error_messages[why] % {"off": in_words(abs(offset))}, code=why)
