"""What this site adds to allauth's forms."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django import forms
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts import addresses
from twofactor import passwords, sessions
from twofactor.forms import FocusFirstError, LimitedForm, in_words

SIGNED_UP = "signed_up"  # in the session of the browser that signed up: the key of the new account

LABELS = {"login": _("E-mail"), "email": _("E-mail"), "oldpassword": _("Current password")}


# In place of Django's, which are missing or wrong in some languages: Spanish says "fewer than" for "at most".
ERRORS = {
    "invalid": _("Enter an email address, like name@example.com."),
    "invalid_choice": _("Choose one of the entries."),
    "max_length": _("Use at most %(limit_value)d characters."),
    "null_characters_not_allowed": _("One of these characters cannot be used here."),
}


class OurWords(FocusFirstError):
    """The site's own words for labels and errors, and no placeholders, which vanish as one types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.error_messages.update(ERRORS)
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

    def validate_unique_email(self, value: str) -> str:
        """Count an address as taken if it signs an account in. allauth counts unconfirmed claims as well."""
        self.account_already_exists = addresses.owner_of(value) is not None
        return value

    def try_save(self, request: HttpRequest) -> Any:
        """Answer an address that is taken like a free one, as late, also if another sign-up took it just now."""
        if not self.account_already_exists:
            try:
                with transaction.atomic():
                    return self.save(request), None
            except IntegrityError:
                self.account_already_exists = True
        make_password(self.cleaned_data["password1"])
        return super().try_save(request)

    def save(self, request: HttpRequest) -> Any:
        user = super().save(request)
        # allauth leaves this row out where another account claims the address.
        address, _created = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
        EmailAddress.objects.fill_cache_for_user(user, [address])
        request.session[SIGNED_UP] = str(user.pk)
        return user


class LoginForm(OurWords, LimitedForm, allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs.update({"autocomplete": "username", "autofocus": True})

    def clean(self) -> dict[str, Any] | None:
        """Say beside the password what allauth says of the whole form: that is the field to type in again."""
        try:
            return super().clean()
        except forms.ValidationError as error:
            is_limited = error.code == "too_many_login_attempts"
            self.add_error("password", self.too_many_tries() if is_limited else error)
            return self.cleaned_data

    def too_many_tries(self) -> forms.ValidationError:
        """Say for how long no password is checked. allauth says "later"."""
        self.retry_after = get_adapter().seconds_until_next_try(self.request, **self.user_credentials())
        words = _("Too many tries. Try again in %(wait)s, or reset your password.") % {
            "wait": in_words(self.retry_after)
        }
        return forms.ValidationError(words, code="too_many_login_attempts")


class AddEmailForm(OurWords, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(OurWords, allauth_forms.ResetPasswordForm):
    """allauth's, for the owner of the address alone. allauth also takes those who claim it without a confirmation."""

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        owner = addresses.owner_of(email)
        self.users = [owner] if owner and owner.is_active else []
        return email


class ChangePasswordForm(NewPassword, allauth_forms.ChangePasswordForm):
    def clean_oldpassword(self) -> str:
        """Count wrong ones by session, as at every step-up."""
        password = self.cleaned_data["oldpassword"]
        if not passwords.is_right(context.request, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class SetPasswordForm(NewPassword, allauth_forms.SetPasswordForm):
    pass


class ResetPasswordKeyForm(NewPassword, allauth_forms.ResetPasswordKeyForm):
    """allauth's; for an account that never confirmed an address, the link proves the address as well.

    A stranger may have signed up. So the owner of the address also gives the name and the language.
    """

    full_name = forms.CharField(
        label=_("Full name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    language = forms.ChoiceField(label=_("Language of our emails"), choices=settings.LANGUAGES)
    field_order = ("full_name", "language", "password1")

    def __init__(self, *args: Any, claim: EmailAddress | None = None, **kwargs: Any) -> None:
        """`claim` is the address that the link was sent to, if that is not the account's own."""
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.claim = claim
        self.is_new = self.user is not None and addresses.is_new(self.user)
        if not self.is_new:
            del self.fields["full_name"], self.fields["language"]
            return
        own = EmailAddress.objects.filter(user=self.user, email=self.user.email)
        # If the account was removed meanwhile: an address that cannot be confirmed.
        self.claim = claim or own.first() or EmailAddress(user=self.user, email=self.user.email)
        self.fields["full_name"].initial = self.user.full_name
        self.fields["language"].initial = get_language()

    def clean(self) -> dict[str, Any] | None:
        cleaned_data = super().clean()
        # A confirmation link sets no password of an account that was confirmed meanwhile.
        if self.claim and not (self.is_new and self.claim.can_set_verified()):
            raise forms.ValidationError(addresses.TAKEN, code="email_taken")
        return cleaned_data

    @transaction.atomic
    def save(self) -> None:
        """Set the password, which ends every session. A new account's address is confirmed with it."""
        if self.claim:
            if not get_adapter().confirm_email(context.request, self.claim):  # another account did, just now
                raise ImmediateHttpResponse(redirect("account_login"))
            self.user.refresh_from_db(fields=["email"])
            self.user.full_name, self.user.language = self.cleaned_data["full_name"], self.cleaned_data["language"]
        super().save()
        sessions.end_all(self.user)
