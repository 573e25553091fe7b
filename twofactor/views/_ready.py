"""Whether a credential can be added now: an authenticator app or a passkey."""

from allauth.account import app_settings
from allauth.account.utils import has_verified_email
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor.models import SecondFactor
from twofactor.views._backup_codes import remind_of_codes
from twofactor.views.common import AuthenticatedRequest
from twofactor.views.form_page import has_proof


def redirect_if_not_ready(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse | None:
    """Return a redirect if a setup cannot begin now."""
    if request.method != "POST" and remind_of_codes(request, second_factor):
        return redirect("twofactor:settings")
    if lacks_verified_address(request.user):
        messages.error(request, _("Confirm your email address first. That's where we send notices about your account."))
        return redirect("account_email")
    if not has_proof(request, second_factor):
        text = _(
            "Your account has no password, so we can't confirm it's you. "
            "Sign out, sign back in, and turn on two-factor authentication right away."
        )
        messages.error(request, text)
        return redirect("account_logout")
    return None


def lacks_verified_address(user: AbstractBaseUser) -> bool:
    """Return whether the user has to verify an address first, so that nobody turns 2FA on for another's address."""
    return app_settings.EMAIL_VERIFICATION != "none" and not has_verified_email(user)
