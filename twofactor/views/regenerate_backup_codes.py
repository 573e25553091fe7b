"""Replace the backup codes."""

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, sessions
from twofactor.forms import PasswordForm
from twofactor.models import SecondFactor
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page
from twofactor.views.form_page import proof_form, show_form


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
def regenerate_backup_codes(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return ask_for_proof(request, second_factor, form)
    with transaction.atomic():
        codes = second_factor.regenerate_backup_codes()
        sessions.renew(request, second_factor, form.key)
    events.codes_regenerated(request, request.user)
    return show_codes(request, codes, in_setup=False, destination=next_url(request))


def ask_for_proof(request: AuthenticatedRequest, second_factor: SecondFactor, form: PasswordForm) -> HttpResponse:
    if remind_of_codes(request, second_factor):  # the Back button, or a reload that posts the form again
        return redirect("twofactor:settings")
    context = {
        "title": _("New backup codes"),
        "codes_left": second_factor.codes_left,
        "redirect_field_value": next_url(request),
    }
    return show_form(request, "regenerate_backup_codes", form, **context)
