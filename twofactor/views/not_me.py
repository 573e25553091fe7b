"""What to do after an event that the user did not cause: end other sessions, change the password, make new codes.

A step is done if its event is newer than an hour. New backup codes count only after the first step.
"""

from datetime import timedelta

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from twofactor import adapter, events, known_browsers, sessions
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
    is_known_browser = known_browsers.has_signed_in(request, request.user)
    end_other_sessions(request, second_factor)
    events.sessions_ended(request, request.user)
    messages.success(request, _("You're signed out everywhere else."))
    response = show_steps(request, second_factor) if wants_panel(request) else redirect("twofactor:not_me")
    if is_known_browser:
        known_browsers.remember(request, response, request.user)
    return response


def end_other_sessions(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> None:
    """End all other sessions, also those outside allauth's list if 2FA is on, and forget the trusted browsers."""
    with transaction.atomic():
        if second_factor:
            second_factor.renew_version()
        request.user.trusted_browsers.all().delete()
        sessions.renew(request, second_factor)


def show_steps(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    kinds = recent_kinds(request)
    has_password = request.user.has_usable_password()
    sessions_done = Kind.SESSIONS_ENDED in kinds
    password_done = not PASSWORD_KINDS.isdisjoint(kinds)
    codes_done = second_factor is not None and are_codes_new(kinds)
    done = [sessions_done, password_done or not has_password, codes_done]
    context = {
        "title": _("This wasn't me"),
        "second_factor": second_factor,
        "has_password": has_password,
        "sessions_done": sessions_done,
        "password_done": password_done,
        "codes_done": codes_done,
        "next_step": done.index(False) + 1 if False in done else None,
        "support_email": adapter.current().support_email(),
        "url": reverse("twofactor:not_me"),
    }
    return render_page(request, "not_me", context)


def recent_kinds(request: AuthenticatedRequest) -> list[str]:
    """Return the kinds of the user's events of the last hour, newest first."""
    recent = request.user.security_events.filter(created_at__gt=timezone.now() - DONE_FOR)
    return list(recent.order_by("-created_at", "-pk").values_list("kind", flat=True))


def are_codes_new(kinds: list[str]) -> bool:
    """Return whether backup codes were made after the other sessions ended. A thief may have made those before."""
    ended = kinds.index(Kind.SESSIONS_ENDED) if Kind.SESSIONS_ENDED in kinds else 0
    return not CODES_KINDS.isdisjoint(kinds[:ended])
