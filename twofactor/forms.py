"""The only judges of what people type: a form is valid only if its code was accepted, and then it is used up."""

from typing import Any

from allauth.account import app_settings
from allauth.account.app_settings import LoginMethod
from allauth.account.utils import user_email
from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofactor import codes, conf, events, limits, passwords, setup, totp
from twofactor.models import Authenticator, PendingSignIn, Verdict

PASSWORD_LENGTH = 128


class SecretInput(forms.TextInput):
    """A field that never gives back what was typed: it is a secret."""

    def format_value(self, value: Any) -> None:
        return None


class CodeField(forms.CharField):
    """Six digits in any spelling. A backup code is not taken here, but recognized; `imported` as in BackupCodeField."""

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
            "class": "code",
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
    """Sixteen characters of Crockford's base32, in any spelling a person may give them.

    `imported`: codes of another app, which may look like anything.
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
            "class": "code",
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
    """Return which second factor this request is about: "code", or "backup" after the toggle."""
    if request.method == "POST":
        return "backup" if "backup_code" in request.POST else "code"
    return "backup" if request.GET.get("method") == "backup" else "code"


def in_words(seconds: int) -> str:
    """Return a waiting time as people say it, rounded up."""
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
    """After an error the first field that is wrong has the focus, without script too."""

    def full_clean(self) -> None:
        super().full_clean()
        wrong = next((name for name in self.fields if name in self.errors), None)
        if wrong is None:
            return
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)
        self.fields[wrong].widget.attrs["autofocus"] = True


class LimitedForm(FocusFirstError):
    """A form that may refuse to look: `retry_after` says for how many seconds."""

    retry_after: int | None = None
    sends_itself = False  # by script, when the sixth digit is typed

    @property
    def status(self) -> int:
        """The status that answers this form: 422 with its errors, 429 if nothing was looked at."""
        return 200 if not self.is_bound else 422 if self.retry_after is None else 429

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def has_backup_code(self) -> bool:
        """True if a backup code was typed where a code from the app belongs."""
        return self.has_error("code", "backup_code")


class SecondFactorForm(LimitedForm):
    """Asks for a code or a backup code of this authenticator, charging the try before it looks at it.

    After a backup code was accepted, `codes_left` is the number left. `owner_notified` becomes True when the owner was
    emailed about wrong codes.
    """

    codes_left = 0
    owner_notified = False
    after_sign_in = False  # True where whoever types has a session, and is not asked for the password

    error_messages = {
        "wrong_code": _("That code is not right. Wait for the next one in your app and try again."),
        "wrong_backup_code": _("That is not one of your unused backup codes."),
        "delayed": _("Too many wrong codes. Codes from your app are taken again in %(wait)s; a backup code works now."),
        "source": _("Too many wrong codes from your network. Try again in %(wait)s."),
        "ended": _("Too many wrong codes."),
        "unreadable": _("Codes from your app can't be checked right now. Use a backup code."),
    }
    # Where the backup codes are those of another app, they share the fate of codes from the app.
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
        authenticator: Authenticator | None,
        method: str = "code",
        pending: PendingSignIn | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.authenticator, self.method, self.pending = request, authenticator, method, pending
        self.field_name = "backup_code" if method == "backup" else "code"
        if authenticator:
            if imported := authenticator.has_imported_codes:
                self.error_messages = {**self.error_messages, **self.imported_error_messages}
            field_class = BackupCodeField if method == "backup" else CodeField
            self.fields[self.field_name] = field_class(imported=imported)

    def clean(self) -> dict[str, Any]:
        if not self.errors and self.authenticator:
            self.judge(self.authenticator, self.cleaned_data[self.field_name])
        return self.cleaned_data

    def judge(self, authenticator: Authenticator, code: str) -> None:
        """Charge, look, and give back what a right code should not cost."""
        source = limits.Source(self.request)
        if not source.is_open:
            self.refuse("source", wait=source.wait)
            return
        verdict = (
            self._spend(authenticator, code)
            if self.method == "backup"
            else authenticator.judge(code, sign_in=self._sign_in)
        )
        if verdict is not Verdict.WRONG:
            source.refund()
        if verdict is Verdict.ACCEPTED:
            events.code_accepted(self.request, authenticator.user, method=self.method)
        elif verdict is None:
            self.refuse("ended")
        elif verdict is Verdict.DELAYED:
            self.refuse("delayed", wait=max(1, authenticator.seconds_to_wait()))
        elif verdict is Verdict.UNREADABLE:
            self.refuse("unreadable")
        elif verdict is Verdict.WRONG:
            is_over = self._is_judged_first and not self._charge_sign_in()
            self.refuse("ended" if is_over else "wrong_backup_code" if self.method == "backup" else "wrong_code")
            self._warn_of_the_last_try(authenticator)
            self._notify_owner(authenticator)

    @property
    def _is_judged_first(self) -> bool:
        """True of what the account itself limits: the sign-in then counts the wrong ones alone."""
        return self.method == "code" or bool(self.authenticator and self.authenticator.has_imported_codes)

    def _charge_sign_in(self) -> bool:
        return self.pending is None or self.pending.charge()

    def _spend(self, authenticator: Authenticator, code: str) -> Verdict | None:
        """The verdict on a backup code; None if the sign-in has no try left, and nothing was looked at."""
        if not self._is_judged_first and not self._charge_sign_in():
            return None
        verdict = authenticator.judge_backup_code(code, sign_in=self._sign_in)
        if verdict is Verdict.ACCEPTED:
            self.codes_left = authenticator.codes_left
            events.backup_code_used(self.request, authenticator.user, codes_left=self.codes_left)
        return verdict

    @property
    def _sign_in(self) -> str:
        return self.pending.pk if self.pending else ""

    def refuse(self, why: str, *, wait: int | None = None) -> None:
        self.retry_after = wait
        words = self.error_messages[why] % {"wait": in_words(wait)} if wait else self.error_messages[why]
        self.add_error(self.field_name, forms.ValidationError(words, code=why))
        events.code_refused(self.request, self.authenticator.user, method=self.method, why=why)  # type: ignore[union-attr]

    def _warn_of_the_last_try(self, authenticator: Authenticator) -> None:
        """Say that one more wrong code ends the sign-in or, where somebody is signed in, the session."""
        if self.pending:
            is_last = self.pending.has_one_try_left
        else:
            is_last = self.after_sign_in and self._is_judged_first and authenticator.next_is_fifth_failure
        if is_last:
            self.add_error(self.field_name, forms.ValidationError(_("You have one try left."), code="last_try"))

    def _notify_owner(self, authenticator: Authenticator) -> None:
        """Wherever codes are typed, and over however many sign-ins: it is the account that counts them."""
        if not self._is_judged_first:
            return
        if authenticator.is_locked_by_this_try:
            events.locked(self.request, authenticator)
        if authenticator.is_fifth_failure:
            self.owner_notified = True
            events.wrong_codes(self.request, authenticator, signed_in=self.after_sign_in)


class VerifyLoginForm(SecondFactorForm):
    """The sign-in stage: one field, and the box for a trusted browser where those are on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[self.field_name].widget.attrs["autofocus"] = True
        if self.pending:
            # With it, a form from another tab is told from one of this sign-in.
            self.fields["sign_in"] = forms.CharField(widget=forms.HiddenInput, initial=self.pending.pk, required=False)
        if days := conf.trust_days():
            label = ngettext("Trust this browser for %d day", "Trust this browser for %d days", days) % days
            self.fields["trust"] = forms.BooleanField(label=label, required=False)
        # A form that sends itself would leave no time to tick the box.
        self.sends_itself = self.method == "code" and not days


class ConfirmForm(SecondFactorForm):
    """What a host's own page asks of whoever is signed in: the second factor alone, once more."""

    after_sign_in = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[self.field_name].widget.attrs["autofocus"] = True
        self.sends_itself = self.method == "code"


class ProofForm(SecondFactorForm):
    """What each change of 2FA asks for: the password, and a code where 2FA is on."""

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
        # Whoever signs in by way of others only has none; a code, or a fresh sign-in, is the proof then.
        user: Any = self.request.user
        self.has_password = user.has_usable_password()
        if not self.has_password:
            self.after_sign_in = True
            del self.fields["password"]
        if self.authenticator and "method" in self.request.GET:  # the person chose the method just now
            self.fields[self.field_name].widget.attrs["autofocus"] = True

    @property
    def username(self) -> str:
        """What the user signs in with, as password managers know it."""
        user: Any = self.request.user
        by_email = LoginMethod.EMAIL in app_settings.LOGIN_METHODS
        return (by_email and user_email(user)) or user.get_username()

    def clean_password(self) -> str:
        """Refuse what cannot be it before anything is hashed."""
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
    """Step 2 of setup: the code that proves the app has the key. `time_step` is the step it belongs to."""

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
        self.request, self.secret, self.now = request, secret, now
        self.time_step = -1
        self.fields["code"].widget.attrs["autofocus"] = True

    def clean_code(self) -> str:
        source = limits.Source(self.request)
        if not source.is_open:
            self.retry_after = source.wait
            words = self.error_messages["source"] % {"wait": in_words(self.retry_after)}
            raise forms.ValidationError(words, code="source")
        if not setup.charge(self.request):
            raise forms.ValidationError(SecondFactorForm.error_messages["ended"], code="ended")
        code, around = self.cleaned_data["code"], totp.time_step_at(self.now)
        step = totp.match_time_step(self.secret, code, around=around, drift_window=conf.drift_window())
        if step is None:
            raise self._wrong(code, around)
        source.refund()
        self.time_step = step
        return code

    def _wrong(self, code: str, around: int) -> forms.ValidationError:
        """Only here is it told how far a clock is off: at sign-in it would tell an attacker something."""
        off = totp.clock_offset(self.secret, code, around=around, reach=conf.CLOCK_REACH)
        if off is None:
            return forms.ValidationError(self.error_messages["wrong_code"], code="wrong_code")
        why = "ahead" if off > 0 else "behind"
        return forms.ValidationError(self.error_messages[why] % {"off": in_words(abs(off))}, code=why)
