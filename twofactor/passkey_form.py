"""The forms of passkeys: one to prove the second factor, and one to add a passkey.

The script puts the browser's answer into the field `credential`. The field `ceremony` has the token of its challenge.
"""

from copy import deepcopy
from typing import TYPE_CHECKING

from django import forms
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from twofactor import limits, passkeys
from twofactor.attempts import Attempt
from twofactor.base_forms import FocusFirstError, LimitedForm
from twofactor.ceremonies import REGISTER, SECOND_FACTOR, STEP_UP, Scope, read
from twofactor.forms import PasswordForm, SecondFactorForm
from twofactor.models import Passkey, SecondFactor
from twofactor.models.passkey import NAME_LENGTH
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from twofactor.views.common import AuthenticatedRequest

NOT_ACCEPTED = _("That passkey didn't work. Try again, or use another method.")


class HiddenField(forms.CharField):
    """A field of the script. It takes any value, which `passkeys` judges, and never renders what was posted."""

    widget = forms.HiddenInput

    def clean(self, value: object) -> str:
        return value if isinstance(value, str) else ""

    def bound_data(self, data: object, initial: object) -> object:
        return initial


class PasskeyForm(SecondFactorForm):
    """A passkey. It cannot be guessed or phished, so a refused one is charged to the source alone.

    In a step-up, a passkey that verified the user replaces the password too.
    """

    key = "passkey"
    field_name = "credential"
    name = _("Passkeys")
    title = _("Use your passkey")
    link = button = title
    hint = _("Your browser will ask for your fingerprint, face, PIN, or security key.")
    template_name = "twofactor/methods/passkey.html"
    allauth_type = "webauthn"
    refused_event = "passkey_refused"
    setup_urlname = "twofactor:add_passkey"
    missing = _("That page needs a passkey. Add one first.")
    is_guessable = False
    is_counted = False
    has_focus = False  # of the button

    error_messages = {
        **SecondFactorForm.error_messages,
        "wrong": NOT_ACCEPTED,
        "password": _("Your passkey didn't confirm it's you. Enter your password, then use the passkey again."),
    }

    def __init__(self, data: QueryDict | None = None, *, attempt: Attempt) -> None:
        super().__init__(data, attempt=attempt)
        self.fields["ceremony"] = HiddenField(initial=lambda: self._question[1])
        if self.asks_password and not self.data.get("password") and any(self._verified):
            del self.fields["password"]  # a passkey that verifies the user replaces it

    @classmethod
    def is_available(cls, attempt: Attempt) -> bool:
        return passkeys.are_offered(attempt.request) and bool(attempt.passkeys)

    def make_field(self) -> HiddenField:
        return HiddenField()

    def focus(self, name: str) -> None:
        """Give the focus to a field, or to the button in place of the hidden one."""
        super().focus(name)
        self.has_focus = self.fields[self.field_name].widget.attrs.pop("autofocus", False)

    def _has_focus(self) -> bool:
        return self.has_focus or super()._has_focus()

    @property
    def options(self) -> str:
        """Return the options of `navigator.credentials.get()`, as JSON, with a new challenge for each page."""
        return self._question[0]

    @cached_property
    def _question(self) -> tuple[str, str]:
        # A security key without a PIN cannot answer if it must verify the user. `check` then asks for the password.
        must_verify = self.asks_password and "password" not in self.fields and all(self._verified)
        return passkeys.ask_to_sign(self._scope, self.attempt.passkeys, must_verify=must_verify)

    @property
    def _verified(self) -> list[bool]:
        """Return for each passkey whether it has verified the user before."""
        return [passkey.is_user_verified for passkey in self.attempt.passkeys]

    @property
    def _scope(self) -> Scope:
        pending_id = self.attempt.pending_id
        purpose = SECOND_FACTOR if pending_id else STEP_UP
        return passkeys.scope_of(self.request, purpose, self.second_factor, pending_id=pending_id)

    def refuse(self, field: str, message: "StrOrPromise", refused: Refused) -> None:
        """Add the message. If the password is missing, ask for it."""
        if refused.code == "password":
            field = "password"
            self.fields[field] = deepcopy(PasswordForm.base_fields[field])
            self.order_fields([field])
        super().refuse(field, message, refused)

    def check(self, *, now: float) -> bool:
        """Raise Refused if it is not accepted, also if it was checked: the log says why."""
        has_password = bool(self.cleaned_data.get("password"))
        challenge = read(self.cleaned_data["ceremony"], self._scope).challenge
        signed = passkeys.verify(self.attempt.passkeys, self.cleaned_data["credential"], challenge)
        if self.asks_password and not has_password and not signed.is_user_verified:
            raise Refused("password")
        # A pending sign-in begins with the password, or with what replaces it, such as an emailed code.
        passkeys.use_up(signed, challenge, has_password=has_password or bool(self.attempt.pending_id), now=now)
        self.second_factor.unlock()
        return True


class NameField(forms.CharField):
    """The user's name for a passkey. It is cleaned and not refused: the browser has stored the passkey by now."""

    def __init__(self, *, label: "StrOrPromise", help_text: "StrOrPromise" = "", required: bool = True) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "off", "maxlength": NAME_LENGTH})
        super().__init__(label=label, help_text=help_text, required=required, widget=widget)

    def clean(self, value: object) -> str:
        name: str = super().clean(passkeys.clean_name(value if isinstance(value, str) else ""))
        return name


class RenamePasskeyForm(FocusFirstError):
    """A new name of a passkey."""

    name = NameField(label=_("Name"))


class AddPasskeyForm(LimitedForm):
    """The answer of a browser that has made a passkey, and a name for it, by default that of its provider."""

    name = NameField(
        label=_("Name (optional)"),
        help_text=_("If you leave this empty, we'll name it after your password manager or device."),
        required=False,
    )

    error_messages = {
        "source": SecondFactorForm.error_messages["source"],
        "full": _("You have 20 passkeys, the most an account can have. Remove one first."),
    }
    passkey: Passkey  # without a row

    def __init__(self, data: QueryDict | None = None, *, request: "AuthenticatedRequest") -> None:
        super().__init__(data)
        self.request = request
        self.second_factor = SecondFactor.objects.for_user(request.user)
        self.fields["credential"] = HiddenField()
        self.fields["ceremony"] = HiddenField(initial=lambda: self._question[1])

    @property
    def options(self) -> str:
        """Return the options of `navigator.credentials.create()`, as JSON, with a new challenge for each page."""
        return self._question[0]

    @cached_property
    def _question(self) -> tuple[str, str]:
        return passkeys.ask_to_register(self.request, self.request.user, self._scope)

    @property
    def _scope(self) -> Scope:
        return passkeys.scope_of(self.request, REGISTER, self.second_factor)

    def clean(self) -> None:
        try:
            self.passkey = self._verified()
        except Refused as refused:
            self.refuse_passkey(refused)

    def _verified(self) -> Passkey:
        """Return the new passkey. Charge the source before the check, as for a code of a setup."""
        source = limits.codes_of_source(self.request)
        if not source.charge():
            raise Refused("source", source.wait())
        credential, token = self.cleaned_data["credential"], self.cleaned_data["ceremony"]
        passkey = passkeys.verify_new(credential, token, self._scope)
        limits.give_back(source)
        passkey.name = self.cleaned_data["name"] or passkeys.default_name(passkey, self.second_factor)
        return passkey

    def refuse_passkey(self, refused: Refused) -> None:
        self.refuse("credential", self.error_messages.get(refused.code, NOT_ACCEPTED), refused)
