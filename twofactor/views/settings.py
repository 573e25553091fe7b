"""The settings page: status, backup codes left, trusted browsers, recent activity, and links to every action."""

from collections.abc import Iterable

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from twofactor import adapter, conf, trust
from twofactor.htmx import render_page, wants_panel
from twofactor.models import SecondFactor, TrustedBrowser
from twofactor.views._backup_codes import SHOWN, remind_of_codes
from twofactor.views.common import AuthenticatedRequest, second_factor_page


@second_factor_page("GET", "HEAD")
def settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if "saved" in request.GET:  # from the page of the backup codes
        return leave_codes(request, second_factor)
    remind_of_codes(request, second_factor)
    return show_settings(request, second_factor)


def leave_codes(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Redirect after the codes were saved: to the page that started the setup, or to the settings."""
    if url := request.session.pop(SHOWN, ""):
        return HttpResponseRedirect(url)
    return back_to_settings(request, second_factor)


@second_factor_page("GET", "HEAD")
def status(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Return the status block, which the settings page refreshes over htmx."""
    if not wants_panel(request):
        return redirect("twofactor:settings")
    return render(request, "twofactor/status.html", status_of(request, second_factor))


def back_to_settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Return the settings as a panel for htmx, and otherwise redirect to them."""
    return show_settings(request, second_factor) if wants_panel(request) else redirect("twofactor:settings")


def show_settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    user = request.user
    browsers: Iterable[TrustedBrowser] = ()
    if second_factor and conf.trust_days():
        browsers = trust.valid_browsers(user, second_factor).order_by("-last_used_at")
    context = {
        "title": _("Two-factor authentication"),
        **status_of(request, second_factor),
        "events": user.security_events.order_by("-created_at", "-pk")[: conf.EVENTS_SHOWN],
        "browsers": browsers,
        "trust_days": conf.trust_days(),
    }
    return render_page(request, "settings", context, at=conf.settings_path())


def status_of(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> dict[str, object]:
    """Return the context of the status block."""
    left, last_use = second_factor.codes_left_and_last_use() if second_factor else (0, None)
    return {
        "second_factor": second_factor,
        "codes_left": left,
        "codes_used_at": last_use,
        "codes_low": left <= conf.CODES_LOW,
        "is_required": adapter.current().is_required(request.user),
    }
