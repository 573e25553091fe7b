"""What staff do to selected users in the admin, after a step-up and with a reason."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from twofactor import support

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        help_text=_("Included in the email to the user and in the log."),
        widget=AdminTextareaWidget(attrs={"rows": 3, "maxlength": support.REASON_LENGTH, "autofocus": True}),
    )

    def clean_reason(self) -> str:
        return support.clean_reason(self.cleaned_data["reason"])


class Act(Protocol):
    """A function of support.py. It returns False if there was nothing to do."""

    def __call__(self, user: AbstractBaseUser, *, reason: str, request: HttpRequest | None) -> bool: ...


class StaffAction(NamedTuple):
    name: str
    title: "StrOrPromise"
    consequences: "tuple[StrOrPromise, ...]"
    button: "StrOrPromise"
    apply: Act
    done: "StrOrPromise"
    unchanged: "StrOrPromise"


UNLOCK = StaffAction(
    "unlock",
    _("Unlock codes"),
    (
        _("If their codes are locked after too many wrong ones, they work again right away."),
        _("Two-factor authentication stays on, and they stay signed in."),
        _("They get an email with the reason."),
    ),
    _("Unlock codes"),
    support.unlock,
    ngettext_lazy("Unlocked codes for %d user.", "Unlocked codes for %d users."),
    ngettext_lazy("%d user had no locked codes.", "%d users had no locked codes."),
)
TURN_OFF = StaffAction(
    "turn_off",
    _("Turn off two-factor authentication"),
    (
        _("They're signed out everywhere, and their trusted browsers are removed."),
        _("Their authenticator app and backup codes stop working."),
        _("They sign in with only a password until they set it up again."),
        _("They get an email with the reason."),
    ),
    _("Turn off"),
    support.reset,
    ngettext_lazy(
        "Turned off two-factor authentication for %d user.", "Turned off two-factor authentication for %d users."
    ),
    ngettext_lazy("It was already off for %d user.", "It was already off for %d users."),
)
