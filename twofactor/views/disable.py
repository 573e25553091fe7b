"""Turn 2FA off, with the password and the second factor."""

from collections.abc import Callable
from functools import wraps

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

View = Callable[[AuthenticatedRequest, SecondFactor], HttpResponse]


def unless_required(view: View) -> View:
    """Redirect users who are required to have 2FA to the settings, with a message."""

    @wraps(view)
    def page(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
        if not adapter.current().is_required(request.user):
            return view(request, second_factor)
        messages.error(
            request,
            _("This site requires two-factor authentication of your account, so it cannot be turned off."),
        )
        return redirect("twofactor:settings")

    return page


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
@unless_required
def disable(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return show_form(request, "disable", form, title=_("Turn off two-factor authentication"))
    with transaction.atomic():
        second_factor.turn_off()
        sessions.renew(request, None)
    events.turned_off(request, request.user)
    messages.success(request, _("Two-factor authentication is off."))
    return back_to_settings(request, None)
