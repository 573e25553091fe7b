"""Turn 2FA off, with the password and a code."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import adapter, events, sessions
from twofactor.models import ChangedMeanwhile, SecondFactor
from twofactor.views.common import AuthenticatedRequest, changed_meanwhile, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST")
def disable(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if second_factor is None:
        return redirect("twofactor:settings")
    if adapter.current().is_required(request.user):
        messages.error(
            request,
            _("This site requires two-factor authentication of your account, so it cannot be turned off."),
        )
        return redirect("twofactor:settings")
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return show_form(request, "disable", form, title=_("Turn off two-factor authentication"))
    try:
        with transaction.atomic():
            second_factor.turn_off()
            sessions.renew(request, None)
    except ChangedMeanwhile:
        return changed_meanwhile(request)
    events.turned_off(request, request.user)
    messages.success(request, _("Two-factor authentication is off."))
    return back_to_settings(request, None)
