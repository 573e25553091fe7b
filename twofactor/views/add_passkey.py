"""Add a passkey: ask for a step-up, and then show the button that asks the browser for the passkey."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, passkey_setup, passkeys
from twofactor.htmx import render_page
from twofactor.models import Passkey, SecondFactor
from twofactor.passkey_form import AddPasskeyForm, PasskeyForm
from twofactor.refusals import Refused
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views._ready import redirect_if_not_ready
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST")
def add_passkey(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if not passkeys.are_offered(request) or Passkey.objects.is_full(second_factor):
        return refuse(request)
    setup = passkey_setup.resume(request, second_factor)
    if setup is None:
        if "name" in request.POST and remind_of_codes(request, second_factor):  # a reload of the backup codes
            return redirect("twofactor:settings")
        return redirect_if_not_ready(request, second_factor) or ask_for_proof(request, second_factor)
    form = AddPasskeyForm(request.POST if "credential" in request.POST else None, request=request)
    if not form.is_valid():
        return show_button(request, form)
    return add(request, form, setup.destination)


def refuse(request: AuthenticatedRequest) -> HttpResponse:
    """Redirect to the security page, which says where passkeys work."""
    if passkeys.are_offered(request):
        messages.error(request, _("You have 20 passkeys, the most an account can have. Remove one first."))
    return redirect("twofactor:settings")


def ask_for_proof(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    form = proof_form(request, second_factor)
    destination = next_url(request)
    if form.is_valid():
        passkey_setup.begin(request, second_factor, destination=destination)
        return show_button(request, AddPasskeyForm(request=request))
    context = {"title": title_of(second_factor), "second_factor": second_factor, "redirect_field_value": destination}
    return show_form(request, "add_passkey", form, **context)


def show_button(request: AuthenticatedRequest, form: AddPasskeyForm) -> HttpResponse:
    if form.refused:
        events.refused(request, request.user, PasskeyForm, form.refused)
    second_factor = form.second_factor
    context = {"title": title_of(second_factor), "second_factor": second_factor, "form": form, "is_proved": True}
    return render_page(request, "add_passkey", context)


def title_of(second_factor: SecondFactor | None) -> str:
    return _("Add a passkey") if second_factor else _("Turn on two-factor authentication")


def add(request: AuthenticatedRequest, form: AddPasskeyForm, destination: str) -> HttpResponse:
    try:
        codes = passkey_setup.complete(request, request.user, form.passkey)
    except Refused as refused:
        form.refuse_passkey(refused)
        return show_button(request, form)
    is_first = form.second_factor is None
    if is_first:
        events.turned_on(request, request.user, by="passkey")
    else:
        events.passkey_added(request, request.user, name=form.passkey.name)
    if codes:  # of the first credential, or because an import brought none
        return show_codes(request, codes, in_setup=is_first, destination=destination)
    messages.success(request, _("Your passkey is ready. Use it the next time you sign in."))
    if destination:
        return HttpResponseRedirect(destination)
    return back_to_settings(request, SecondFactor.objects.for_user(request.user))
