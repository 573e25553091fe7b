"""Turn 2FA off, with the password and the second factor."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import adapter, events, sessions
from twofactor.models import SecondFactor
from twofactor.views.common import AuthenticatedRequest, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
def disable(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    return redirect_if_required(request) or turn_off(request, second_factor)


def redirect_if_required(request: AuthenticatedRequest) -> HttpResponse | None:
    """Return a redirect to the settings, with a message, if the user is required to have 2FA."""
    if not adapter.current().is_required(request.user):
        return None
    messages.error(request, _("Your account needs two-factor authentication, so you can't turn it off."))
    return redirect("twofactor:settings")


def turn_off(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return show_form(request, "disable", form, title=_("Turn off two-factor authentication"))
    with transaction.atomic():
        second_factor.turn_off()
        sessions.renew(request, None)
    events.turned_off(request, request.user)
    messages.success(request, _("Two-factor authentication is off."))
    return back_to_settings(request, None)
