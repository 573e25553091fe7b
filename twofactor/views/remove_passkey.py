"""Remove a passkey, with the password and the second factor."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from twofactor import events, sessions
from twofactor.models import Passkey, SecondFactor
from twofactor.views._backup_codes import show_codes
from twofactor.views.common import AuthenticatedRequest, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
def remove_passkey(request: AuthenticatedRequest, second_factor: SecondFactor, pk: int) -> HttpResponse:
    passkey = get_object_or_404(second_factor.passkeys, pk=pk)
    if second_factor.credential_count == 1:  # 2FA goes with its last credential
        return redirect("twofactor:disable")
    form = proof_form(request, second_factor)
    if not form.is_valid():
        return show_form(request, "remove_passkey", form, title=_("Remove a passkey"), passkey=passkey)
    with transaction.atomic():
        codes = Passkey.objects.remove(second_factor, passkey)
        sessions.renew(request, second_factor, form.key)
    events.passkey_removed(request, request.user, name=passkey.name)
    if codes:  # an import brought none
        return show_codes(request, codes, in_setup=False)
    messages.success(request, _("Your passkey was removed."))
    return back_to_settings(request, second_factor)
