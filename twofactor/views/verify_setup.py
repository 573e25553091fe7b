"""Step 2: the code that proves the app has the key. On success 2FA is on, and step 3 shows the backup codes."""

import time

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, sessions
from twofactor import setup as under_way
from twofactor.forms import VerifySetupForm
from twofactor.htmx import render_page
from twofactor.models import Authenticator, ChangedMeanwhile
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views.common import AuthenticatedRequest, changed_meanwhile, second_factor_page


@second_factor_page("GET", "HEAD", "POST")
def verify_setup(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    setup = under_way.resume(request, authenticator)
    if setup is None:
        return redirect("twofactor:settings") if remind_of_codes(request, authenticator) else start_again(request)
    data = request.POST if request.method == "POST" else None
    form = VerifySetupForm(data, request=request, secret=setup.secret, now=time.time())
    if form.is_valid():
        return turn_on(request, setup, form.time_step)
    if under_way.resume(request, authenticator) is None:
        return start_again(request)
    context = {"title": _("Enter the code from your app"), "form": form, "authenticator": authenticator}
    return render_page(request, "verify_setup", context)


def turn_on(request: AuthenticatedRequest, setup: under_way.Setup, time_step: int) -> HttpResponse:
    try:
        with transaction.atomic():
            codes = Authenticator.objects.activate(
                request.user, secret=setup.secret, last_time_step=time_step, replaces=setup.replaces
            )
            under_way.forget(request)
            sessions.renew(request, request.user.authenticator, "code")
    except ChangedMeanwhile:
        return changed_meanwhile(request)
    tell = events.phone_changed if setup.replaces else events.turned_on
    tell(request, request.user)
    return show_codes(request, codes, in_setup=True, destination=setup.destination)


def start_again(request: AuthenticatedRequest) -> HttpResponse:
    if request.method == "POST":
        messages.error(request, _("That setup is over. Please begin again."))
    return redirect("twofactor:setup")
