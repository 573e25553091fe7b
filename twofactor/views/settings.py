"""The security page: status, a card for each credential, password, browsers, activity, and links to every action."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from twofactor import adapter, conf, passkeys, sessions, trust
from twofactor.htmx import render_page, wants_panel
from twofactor.models import SecondFactor, TrustedBrowser
from twofactor.models.second_factor import CodeCounts
from twofactor.views._backup_codes import SHOWN, remind_of_codes
from twofactor.views.common import AuthenticatedRequest, second_factor_page


@second_factor_page("GET", "HEAD")
def settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if "saved" in request.GET:  # from the page of the backup codes
        return leave_codes(request, second_factor)
    remind_of_codes(request, second_factor)
    return show_settings(request, second_factor)


def leave_codes(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Redirect after new codes were saved: to the page that asked for them, or to the settings."""
    url = request.session.pop(SHOWN, None)
    if url:
        return HttpResponseRedirect(url)
    if url is not None:
        messages.success(request, _("Your new backup codes are ready. The old ones no longer work."))
    return back_to_settings(request, second_factor)


@second_factor_page("GET", "HEAD")
def status(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Return the status block, which the settings page refreshes over htmx."""
    if not wants_panel(request):
        return redirect("twofactor:settings")
    return render(request, "twofactor/status.html", status_of(request, second_factor) | {"is_refresh": True})


def back_to_settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Return the settings as a panel for htmx, and otherwise redirect to them."""
    return show_settings(request, second_factor) if wants_panel(request) else redirect("twofactor:settings")


def show_settings(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    user = request.user
    trust_days = conf.trust_days()
    browsers: Iterable[TrustedBrowser] = ()
    if second_factor and trust_days:
        browsers = trust.valid_browsers(user, second_factor).order_by("-last_used_at")
    context = {
        "title": _("Security"),
        **status_of(request, second_factor),
        "has_password": user.has_usable_password(),
        "other_sessions": sessions.count_others(request),
        "events": user.security_events.order_by("-created_at", "-pk")[: conf.EVENTS_SHOWN],
        "browsers": browsers,
        "trusts_browsers": second_factor is not None and trust_days > 0,
        "trust_days": trust_days,
    }
    return render_page(request, "settings", context, at=conf.settings_path())


def status_of(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> dict[str, object]:
    """Return the context of the status block."""
    codes = second_factor.count_codes() if second_factor else CodeCounts()
    return {
        "second_factor": second_factor,
        "codes_left": codes.left,
        "codes_total": codes.total,
        "codes_used_at": codes.last_use,
        "codes_low": codes.left <= conf.CODES_LOW,
        **passkeys.offer(request),
        "is_required": adapter.current().is_required(request.user),
    }
