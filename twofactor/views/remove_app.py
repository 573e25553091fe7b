"""Remove the authenticator app while a passkey keeps 2FA on, with the password and the second factor."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, sessions
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.views._backup_codes import show_codes
from twofactor.views.common import AuthenticatedRequest, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
def remove_app(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    if not second_factor.has_app:
        return redirect("twofactor:settings")
    if second_factor.credential_count == 1:  # 2FA goes with its last credential
        return redirect("twofactor:disable")
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return show_form(request, "remove_app", form, title=_("Remove your authenticator app"))
    with transaction.atomic():
        codes = AuthenticatorApp.objects.remove(second_factor)
        sessions.renew(request, second_factor, form.key)
    events.app_removed(request, request.user)
    if codes:  # the old ones were imported, and do not work without the app
        return show_codes(request, codes, in_setup=False)
    messages.success(request, _("Your authenticator app was removed."))
    return back_to_settings(request, second_factor)
