"""Steps 1 and 2 of the setup: the step-up, then the QR code and the key. A new setup can also replace the phone."""

from allauth.account import app_settings
from allauth.account.utils import has_verified_email
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import adapter, enrolment, qr, totp
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views._backup_codes import remind_of_codes
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page
from twofactor.views.form_page import has_proof, proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST")
def setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if enrolment.resume(request, second_factor):
        return show_key(request, second_factor)
    return redirect_if_not_ready(request, second_factor) or ask_for_proof(request, second_factor)


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


def ask_for_proof(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    form = proof_form(request, second_factor)
    if form.is_valid():
        return show_key(request, second_factor)
    context = {"title": title_of(second_factor), "second_factor": second_factor}
    return show_form(request, "setup", form, redirect_field_value=next_url(request), **context)


def lacks_verified_address(user: AbstractBaseUser) -> bool:
    """Return whether the user has to verify an address first, so that nobody turns 2FA on for another's address."""
    return app_settings.EMAIL_VERIFICATION != "none" and not has_verified_email(user)


def show_key(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Show the QR code and the key of the setup in progress. Begin one if there is none."""
    secret = enrolment.begin(request, second_factor, destination=next_url(request)).secret
    site_adapter = adapter.current()
    uri = totp.provisioning_uri(secret, account=site_adapter.label(request.user), issuer=site_adapter.issuer(request))
    context = {
        "title": title_of(second_factor),
        "second_factor": second_factor,
        "uri": uri,
        "qr": qr.svg(uri),
        "key": totp.in_groups(secret),
    }
    return render_page(request, "setup", context)


def title_of(second_factor: SecondFactor | None) -> str:
    return _("Set up a new phone") if second_factor else _("Turn on two-factor authentication")


@second_factor_page("POST")
def cancel_setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    enrolment.forget(request)
    return back_to_settings(request, second_factor)
