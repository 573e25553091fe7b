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
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from accounts import addresses, confirmation, validators
from twofactor import passwords, sessions
from twofactor.base_forms import FocusFirstError, LimitedForm
from twofactor.stages import is_pending

# Session key. Its value is the primary key of the account that this browser created.
SIGNED_UP = "signed_up"

LABELS = {"login": _("Email"), "email": _("Email"), "oldpassword": _("Current password")}

REQUIRED = {
    "full_name": _("Enter your name."),
    "language": _("Choose a language."),
    "login": _("Enter your email address."),
    "email": _("Enter your email address."),
    "password": _("Enter your password."),
    "oldpassword": _("Enter your current password."),
    "password1": _("Choose a password."),
}

# Replace Django's messages, whose translations are missing or wrong in some languages.
ERRORS = {
    "invalid": addresses.INVALID,
    "invalid_choice": _("Choose one of the options."),
    "max_length": _("Use at most %(limit_value)d characters."),
    "null_characters_not_allowed": _("One of these characters can't be used here."),
}


class FullNameField(forms.CharField):
    """A visible name in one line, because emails greet with it and staff see it in lists.

    Control characters are refused, and so are those that reverse the text after them.
    """

    unsafe = RegexValidator(
        "[\x01-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]",
        ERRORS["null_characters_not_allowed"],
        "null_characters_not_allowed",
        inverse_match=True,
    )

    def __init__(self) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "name"})
        super().__init__(label=_("Full name"), max_length=150, widget=widget, validators=[self.unsafe])

    def to_python(self, value: Any) -> str:
        words = (super().to_python(value) or "").split()
        is_visible = any(character.isprintable() for character in "".join(words))
        return " ".join(words) if is_visible else ""


class SiteFormMixin(FocusFirstError):
    """Set the site's labels and error messages. Remove placeholders, because they disappear while the user types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.error_messages.update(ERRORS)
            if name in REQUIRED:
                field.error_messages["required"] = REQUIRED[name]
            field.widget.attrs.pop("placeholder", None)
            field.widget.attrs.pop("autofocus", None)


def password_help() -> SafeString:
    """Return the rules of a new password. The script marks the first one as met while the user types."""
    length = validators.min_length()
    return format_html(
        '<span class="tf-rule" data-min-length="{}" data-met="{}">{}</span> {}',
        length,
        gettext("Long enough"),
        gettext("At least %(length)d characters") % {"length": length},
        gettext("A few unrelated words work well."),
    )


class NewPasswordMixin(SiteFormMixin):
    """Ask for a new password once, without a second field. The page can show it, and a reset corrects a mistake."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("password2", None)
        self.fields["password1"].help_text = password_help()
        if "full_name" not in self.fields:
            self.fields["password1"].label = _("New password")


class SignupForm(NewPasswordMixin, allauth_forms.SignupForm):
    """Sign-up with a full name, and with the same response for taken and free addresses."""

    full_name = FullNameField()
    field_order = ("full_name", "email", "password1")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("email"):  # it was wrong
            self.focus("email")

    def validate_unique_email(self, value: str) -> str:
        """Treat an address as taken if `owner_of` finds an account. For allauth any unconfirmed row makes it taken."""
        self.account_already_exists = addresses.owner_of(value) is not None
        return value

    def try_save(self, request: HttpRequest) -> Any:
        """Prevent enumeration: respond alike, after the same time, whether or not the address is taken.

        If a parallel request takes the address first, it counts as taken.
        """
        data = self.cleaned_data
        confirmation.await_link(request, email=data["email"], full_name=data["full_name"])
        if not self.account_already_exists:
            try:
                with transaction.atomic():
                    return self.save(request), None
            except IntegrityError:
                self.account_already_exists = True
        make_password(data["password1"])  # equalizes the response times
        return super().try_save(request)

    def save(self, request: HttpRequest) -> Any:
        user = super().save(request)
        # allauth does not create this row if another account has an unconfirmed row for the same address.
        address, _created = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
        EmailAddress.objects.fill_cache_for_user(user, [address])
        request.session[SIGNED_UP] = str(user.pk)
        return user


class LoginForm(SiteFormMixin, LimitedForm, allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs["autocomplete"] = "username"
        if self.initial.get("login"):
            self.focus("password")

    def clean(self) -> dict[str, Any] | None:
        """Attach non-field errors to the password, because that field is emptied."""
        try:
            return super().clean()
        except forms.ValidationError as error:
            if error.code == "too_many_login_attempts" and error.params:
                self.retry_after = error.params["seconds"]
            self.add_error("password", error)
            return self.cleaned_data

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> Any:
        """Let the session of a pending sign-in expire early. `user_logged_in` gives it the usual age again."""
        response = super().login(request, redirect_url)
        if is_pending(request):
            request.session.set_expiry(settings.ACCOUNT_LOGIN_TIMEOUT)
        elif response.get("Location") == reverse("account_email_verification_sent"):
            confirmation.await_link(request, email=self.user.email, full_name=self.user.full_name)
        return response


class NameForm(SiteFormMixin, forms.Form):
    full_name = FullNameField()


class AddEmailForm(SiteFormMixin, allauth_forms.AddEmailForm):
    has_initial_focus = False  # the page is about the addresses above it


class ResetPasswordForm(SiteFormMixin, allauth_forms.ResetPasswordForm):
    """Send a reset only to the account that `owner_of` finds.

    allauth also accepts accounts that added the address without confirming it.
    """

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        owner = addresses.owner_of(email)
        self.users = [owner] if owner and owner.is_active else []
        return email


class ChangePasswordForm(NewPasswordMixin, allauth_forms.ChangePasswordForm):
    def clean_oldpassword(self) -> str:
        """Check the password. Wrong ones are counted per session, together with those typed on the step-up page."""
        password = self.cleaned_data["oldpassword"]
        if not passwords.is_right(context.request, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class SetPasswordForm(NewPasswordMixin, allauth_forms.SetPasswordForm):
    pass


class ResetPasswordKeyForm(NewPasswordMixin, allauth_forms.ResetPasswordKeyForm):
    """Set a new password. For an account without a confirmed address, also confirm one.

    In that case ask for the name and language too, because someone else may have created the account.
    """

    full_name = FullNameField()
    language = forms.ChoiceField(label=_("Language for emails"), choices=settings.LANGUAGES)
    field_order = ("full_name", "language", "password1")

    def __init__(self, *args: Any, claim: EmailAddress | None = None, **kwargs: Any) -> None:
        """`claim`: the address of a confirmation link; None for a password reset link."""
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.claim = claim
        self.is_new = self.user is not None and addresses.is_new(self.user)
        if not self.is_new:
            del self.fields["full_name"], self.fields["language"]
            return
        own = EmailAddress.objects.filter(user=self.user, email=self.user.email)
        # If the account was removed meanwhile, use an unsaved address. `prepare_confirmation` refuses it.
        self.claim = claim or own.first() or EmailAddress(user=self.user, email=self.user.email)
        self.fields["full_name"].initial = self.user.full_name
        self.fields["language"].initial = get_language()

    def clean(self) -> dict[str, Any] | None:
        cleaned_data = super().clean()
        # The account may have become confirmed meanwhile. Then a confirmation link must not set its password.
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
        try:
            super().save()
        except IntegrityError:  # the account was deleted meanwhile
            raise ImmediateHttpResponse(redirect("account_login")) from None
        sessions.end_all(self.user)
