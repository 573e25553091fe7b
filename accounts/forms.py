"""What this site adds to allauth's forms."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from django import forms
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from twofactor.forms import PASSWORD_LENGTH, ProofForm, method_of

LABELS = {"login": _("E-mail"), "email": _("E-mail"), "oldpassword": _("Current password")}


class OurWords:
    """The site's own words for labels, and no placeholders, which vanish as one types."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.widget.attrs.pop("placeholder", None)


class NewPassword(OurWords):
    """A new password, asked for once: the browser shows or keeps it, and a reset mends a slip."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("password2", None)
        self.fields["password1"].help_text = _(
            "12 to 128 characters. A few words that only you would put together are good."
        )
        if "full_name" not in self.fields:
            self.fields["password1"].label = _("New password")


class SignupForm(NewPassword, allauth_forms.SignupForm):
    """allauth's, with a name; the adapter saves it."""

    full_name = forms.CharField(
        label=_("Full name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ("full_name", "email", "password1")

    def try_save(self, request: HttpRequest) -> Any:
        """Hash the password of an address that is taken too: its answer must not come sooner."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class LoginForm(OurWords, allauth_forms.LoginForm):
    """Looks at lengths before it hashes anything; what cannot be a password is answered like a wrong one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs.update({"autocomplete": "username", "autofocus": True})

    def _clean_with_password(self, credentials: dict[str, Any]) -> Any:
        if len(credentials["password"]) > PASSWORD_LENGTH:
            raise allauth_forms.get_adapter().validation_error("email_password_mismatch")
        return super()._clean_with_password(credentials)


class AddEmailForm(OurWords, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(OurWords, allauth_forms.ResetPasswordForm):
    pass


class ChangePasswordForm(NewPassword, allauth_forms.ChangePasswordForm):
    pass


class SetPasswordForm(NewPassword, allauth_forms.SetPasswordForm):
    pass


class ResetPasswordKeyForm(NewPassword, allauth_forms.ResetPasswordKeyForm):
    pass


class ReauthenticateForm(ProofForm):
    """allauth's asks for the password alone; where 2FA is on, this one asks for a code too."""

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        request = context.request
        authenticator = getattr(user, "authenticator", None)
        super().__init__(*args, request=request, authenticator=authenticator, method=method_of(request), **kwargs)
