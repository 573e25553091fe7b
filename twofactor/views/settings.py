"""Status, backup codes left, and every action."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from twofactor import adapter, conf, trust
from twofactor.htmx import render_page, wants_panel
from twofactor.models import Authenticator
from twofactor.views._backup_codes import SHOWN, remind_of_codes
from twofactor.views.common import AuthenticatedRequest, second_factor_page


@second_factor_page("GET", "HEAD")
def settings(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    if "saved" in request.GET:  # from the page of the backup codes
        return leave_codes(request, authenticator)
    remind_of_codes(request, authenticator)
    return show_settings(request, authenticator)


def leave_codes(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    """The codes are saved: go on to where the person was going, or to the settings."""
    if url := request.session.pop(SHOWN, ""):
        return HttpResponseRedirect(url)
    return show_settings(request, authenticator) if wants_panel(request) else redirect("twofactor:settings")


@second_factor_page("GET", "HEAD")
def status(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    """The status block alone, which the settings page refreshes itself from."""
    if not wants_panel(request):
        return redirect("twofactor:settings")
    return render(request, "twofactor/status.html", status_of(request, authenticator))


def show_settings(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    user = request.user
    context = {
        "title": _("Two-factor authentication"),
        **status_of(request, authenticator),
        "events": user.security_events.order_by("-created_at", "-pk")[: conf.EVENTS_SHOWN],
        "browsers": trust.valid_browsers(user, authenticator).order_by("-last_used_at")
        if authenticator and conf.trust_days()
        else (),
        "trust_days": conf.trust_days(),
    }
    return render_page(request, "settings", context, at=conf.settings_path())


def status_of(request: AuthenticatedRequest, authenticator: Authenticator | None) -> dict[str, Any]:
    """What the status block says, and what can be done from there."""
    left = authenticator.codes_left if authenticator else 0
    return {
        "authenticator": authenticator,
        "codes_left": left,
        "codes_low": left <= conf.CODES_LOW,
        "is_required": adapter.current().is_required(request.user),
    }
