"""Step 3 of the setup: a code proves that the app has the key. Then 2FA is on, and step 4 shows the backup codes."""

import time

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import enrolment, events, sessions
from twofactor.forms import CodeForm
from twofactor.htmx import render_page
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.setup_form import VerifySetupForm
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views.common import AuthenticatedRequest, post_data, second_factor_page


@second_factor_page("GET", "HEAD", "POST")
def verify_setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    setup = enrolment.resume(request, second_factor)
    if setup is None:
        return to_settings_if_done(request, second_factor) or start_again(request)
    form = VerifySetupForm(post_data(request), request=request, setup=setup, now=time.time())
    if form.is_valid():
        return turn_on(request, second_factor, setup, form.time_step)
    return show_step(request, second_factor, form)


def show_step(request: AuthenticatedRequest, second_factor: SecondFactor | None, form: VerifySetupForm) -> HttpResponse:
    if form.is_refused("ended"):
        return start_again(request)
    context = {"title": _("Enter the code from your app"), "form": form, "second_factor": second_factor}
    return render_page(request, "verify_setup", context)


def turn_on(
    request: AuthenticatedRequest, second_factor: SecondFactor | None, setup: enrolment.Setup, time_step: int
) -> HttpResponse:
    is_new_phone = second_factor is not None and second_factor.has_app
    with transaction.atomic():
        codes = AuthenticatorApp.objects.activate(request.user, secret=setup.secret, last_time_step=time_step)
        enrolment.forget(request)
        sessions.renew(request, SecondFactor.objects.for_user(request.user), CodeForm.key)
    if second_factor is None:
        events.turned_on(request, request.user, by="app")
    elif is_new_phone:
        events.phone_changed(request, request.user)
    else:
        events.app_added(request, request.user)
    if not codes:  # they came with the first passkey
        messages.success(request, _("Your authenticator app is ready."))
        return redirect(setup.destination or "twofactor:settings")
    return show_codes(request, codes, in_setup=True, is_new_phone=is_new_phone, destination=setup.destination)


def to_settings_if_done(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse | None:
    """Return a redirect if this is the last form of a finished setup, sent again."""
    return redirect("twofactor:settings") if remind_of_codes(request, second_factor) else None


def start_again(request: AuthenticatedRequest) -> HttpResponse:
    if request.method == "POST":
        messages.error(request, _("That setup has ended. Please start over."))
    return redirect("twofactor:setup")
