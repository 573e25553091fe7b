"""What to do after an event that the user did not cause: end other sessions, change the password, make new codes.

The page keeps no state of its own: a step is done if its event is newer than an hour.
"""

from datetime import timedelta

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from twofactor import adapter, events, sessions
from twofactor.htmx import render_page, wants_panel
from twofactor.models import SecondFactor, SecurityEvent
from twofactor.views.common import AuthenticatedRequest, second_factor_page

Kind = SecurityEvent.Kind
DONE_FOR = timedelta(hours=1)
PASSWORD_KINDS = {Kind.PASSWORD_CHANGED, Kind.PASSWORD_RESET}
CODES_KINDS = {Kind.CODES_REGENERATED, Kind.PHONE_CHANGED, Kind.TURNED_ON}


@second_factor_page("GET", "HEAD", "POST")
def not_me(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if request.method != "POST":
        return show_steps(request, second_factor)
    end_other_sessions(request, second_factor)
    events.sessions_ended(request, request.user)
    messages.success(request, _("You are signed out everywhere else."))
    return show_steps(request, second_factor) if wants_panel(request) else redirect("twofactor:not_me")


def end_other_sessions(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> None:
    """End all sessions but this one, and forget the trusted browsers.

    With 2FA on, a new version also ends sessions that are not in allauth's list, pending sign-ins, and setups.
    """
    with transaction.atomic():
        if second_factor:
            second_factor.renew_version()
        request.user.trusted_browsers.all().delete()
        sessions.renew(request, second_factor)


def show_steps(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    recent = request.user.security_events.filter(created_at__gt=timezone.now() - DONE_FOR)
    kinds = set(recent.values_list("kind", flat=True))
    done = [
        Kind.SESSIONS_ENDED in kinds,
        bool(kinds & PASSWORD_KINDS),
        second_factor is not None and bool(kinds & CODES_KINDS),
    ]
    context = {
        "title": _("This wasn't me"),
        "second_factor": second_factor,
        "has_password": request.user.has_usable_password(),
        "sessions_done": done[0],
        "password_done": done[1],
        "codes_done": done[2],
        "next_step": done.index(False) + 1 if False in done else None,
        "support_email": adapter.current().support_email(),
        "url": reverse("twofactor:not_me"),
    }
    return render_page(request, "not_me", context)
