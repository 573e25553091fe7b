"""allauth's forms with the site's labels, messages and rules."""

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

SIGNED_UP = "signed_up"  # session key: the primary key of the account that this browser signed up

LABELS = {"login": _("E-mail"), "email": _("E-mail"), "oldpassword": _("Current password")}

# These replace messages of Django that are missing or wrong in some languages.
ERRORS = {
    "invalid": _("Enter an email address, like name@example.com."),
    "invalid_choice": _("Choose one of the entries."),
    "max_length": _("Use at most %(limit_value)d characters."),
    "null_characters_not_allowed": _("One of these characters cannot be used here."),
}


class SiteFormMixin(FocusFirstError):
    """The site's labels and error messages, and no placeholders, because they disappear while the user types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.error_messages.update(ERRORS)
            field.widget.attrs.pop("placeholder", None)


class NewPasswordMixin(SiteFormMixin):
    """Ask for a new password once. The browser can show and store it, and a reset corrects a mistake."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("password2", None)
        self.fields["password1"].help_text = _(
            "12 to 128 characters. A few words that only you would put together are good."
        )
        if "full_name" not in self.fields:
            self.fields["password1"].label = _("New password")


class SignupForm(NewPasswordMixin, allauth_forms.SignupForm):
    """Add the full name, which the adapter saves."""

    full_name = forms.CharField(
        label=_("Full name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ("full_name", "email", "password1")

    def validate_unique_email(self, value: str) -> str:
        """Treat an address as taken if an account signs in with it. allauth also counts unconfirmed addresses."""
        self.account_already_exists = addresses.owner_of(value) is not None
        return value

    def try_save(self, request: HttpRequest) -> Any:
        """Prevent enumeration: answer a taken address like a free one, after the same time, also after a race."""
        if not self.account_already_exists:
            try:
                with transaction.atomic():
                    return self.save(request), None
            except IntegrityError:
                self.account_already_exists = True
        make_password(self.cleaned_data["password1"])  # equalizes the response times
        return super().try_save(request)

    def save(self, request: HttpRequest) -> Any:
        user = super().save(request)
        # allauth does not create this row if another account has the address unconfirmed.
        address, _created = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
        EmailAddress.objects.fill_cache_for_user(user, [address])
        request.session[SIGNED_UP] = str(user.pk)
        return user


class LoginForm(SiteFormMixin, LimitedForm, allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs.update({"autocomplete": "username", "autofocus": True})

    def clean(self) -> dict[str, Any] | None:
        """Move allauth's errors of the whole form to the password, the field that has to be typed again."""
        try:
            return super().clean()
        except forms.ValidationError as error:
            is_limited = error.code == "too_many_login_attempts"
            self.add_error("password", self.too_many_tries() if is_limited else error)
            return self.cleaned_data

    def too_many_tries(self) -> forms.ValidationError:
        """Return an error with the time until a password is checked again. allauth says only "later"."""
        self.retry_after = get_adapter().seconds_until_next_try(self.request, **self.user_credentials())
        words = _("Too many tries. Try again in %(wait)s, or reset your password.") % {
            "wait": in_words(self.retry_after)
        }
        return forms.ValidationError(words, code="too_many_login_attempts")


class AddEmailForm(SiteFormMixin, allauth_forms.AddEmailForm):
    pass


class ResetPasswordForm(SiteFormMixin, allauth_forms.ResetPasswordForm):
    """Send a reset to the owner of the address only. allauth also accepts accounts that never confirmed it."""

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        owner = addresses.owner_of(email)
        self.users = [owner] if owner and owner.is_active else []
        return email


class ChangePasswordForm(NewPasswordMixin, allauth_forms.ChangePasswordForm):
    def clean_oldpassword(self) -> str:
        """Check the password, and count wrong ones by session as every step-up does."""
        password = self.cleaned_data["oldpassword"]
        if not passwords.is_right(context.request, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class SetPasswordForm(NewPasswordMixin, allauth_forms.SetPasswordForm):
    pass


class ResetPasswordKeyForm(NewPasswordMixin, allauth_forms.ResetPasswordKeyForm):
    """Set a new password. In an account that never confirmed an address, the link also confirms the address.

    A stranger may have signed up with it, so the owner also enters the name and the language.
    """

    full_name = forms.CharField(
        label=_("Full name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    language = forms.ChoiceField(label=_("Language of our emails"), choices=settings.LANGUAGES)
    field_order = ("full_name", "language", "password1")

    def __init__(self, *args: Any, claim: EmailAddress | None = None, **kwargs: Any) -> None:
        """`claim` is the address that the link was sent to, if it is not the account's own."""
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.claim = claim
        self.is_new = self.user is not None and addresses.is_new(self.user)
        if not self.is_new:
            del self.fields["full_name"], self.fields["language"]
            return
        own = EmailAddress.objects.filter(user=self.user, email=self.user.email)
        # If the account was removed meanwhile, use an unsaved address, which cannot be confirmed.
        self.claim = claim or own.first() or EmailAddress(user=self.user, email=self.user.email)
        self.fields["full_name"].initial = self.user.full_name
        self.fields["language"].initial = get_language()

    def clean(self) -> dict[str, Any] | None:
        cleaned_data = super().clean()
        # The account may have been confirmed meanwhile. A confirmation link must not set its password.
        if self.claim and not (self.is_new and self.claim.can_set_verified()):
            raise forms.ValidationError(addresses.TAKEN, code="email_taken")
        return cleaned_data

    @transaction.atomic
    def save(self) -> None:
        """Set the password, which ends every session. Confirm the address of a new account too."""
        if self.claim:
            if not get_adapter().confirm_email(context.request, self.claim):  # another account confirmed it first
                raise ImmediateHttpResponse(redirect("account_login"))
            self.user.refresh_from_db(fields=["email"])
            self.user.full_name = self.cleaned_data["full_name"]
            self.user.language = self.cleaned_data["language"]
        super().save()
        sessions.end_all(self.user)
