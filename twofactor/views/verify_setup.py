"""Step 2 of the setup: a code proves that the app has the key. Then 2FA is on, and step 3 shows the backup codes."""

import time

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, sessions
from twofactor import setup as setups
from twofactor.forms import VerifySetupForm
from twofactor.htmx import render_page
from twofactor.models import ChangedMeanwhile, SecondFactor
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views.common import AuthenticatedRequest, changed_meanwhile, post_data, second_factor_page


@second_factor_page("GET", "HEAD", "POST")
def verify_setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    setup = setups.resume(request, second_factor)
    if setup is None:
        if remind_of_codes(request, second_factor):
            return redirect("twofactor:settings")
        return start_again(request)
    form = VerifySetupForm(post_data(request), request=request, secret=setup.secret, now=time.time())
    if form.is_valid():
        return turn_on(request, setup, form.time_step)
    if setups.resume(request, second_factor) is None:
        return start_again(request)
    context = {"title": _("Enter the code from your app"), "form": form, "second_factor": second_factor}
    return render_page(request, "verify_setup", context)


def turn_on(request: AuthenticatedRequest, setup: setups.Setup, time_step: int) -> HttpResponse:
    try:
        with transaction.atomic():
            codes = SecondFactor.objects.activate(
                request.user, secret=setup.secret, last_time_step=time_step, replaces=setup.replaces
            )
            setups.forget(request)
            sessions.renew(request, request.user.second_factor, "code")
    except ChangedMeanwhile:
        return changed_meanwhile(request)
    if setup.replaces:
        events.phone_changed(request, request.user)
    else:
        events.turned_on(request, request.user)
    return show_codes(request, codes, in_setup=True, destination=setup.destination)


def start_again(request: AuthenticatedRequest) -> HttpResponse:
    if request.method == "POST":
        messages.error(request, _("That setup is over. Please begin again."))
    return redirect("twofactor:setup")
