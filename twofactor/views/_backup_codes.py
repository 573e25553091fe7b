"""Show the backup codes once, and remind a user who left their page without saving them."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from twofactor import conf
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views.common import AuthenticatedRequest

SHOWN = "twofactor_codes_shown"  # in the session until the codes are saved: the URL to go to afterwards


def show_codes(
    request: AuthenticatedRequest,
    codes: list[str],
    *,
    in_setup: bool,
    is_new_phone: bool = False,
    destination: str = "",
) -> HttpResponse:
    """Return the only response that shows the backup codes. A reload of it opens the settings.

    A setup ends on the page of success, which leads to the destination.
    """
    request.session[SHOWN] = destination
    request.twofactor_due = None  # the middleware set it while 2FA was off
    context = {
        "title": _("Save your backup codes"),
        "codes": codes,
        "in_setup": in_setup,
        "is_new_phone": is_new_phone,
        "second_factor": SecondFactor.objects.for_user(request.user),
        "done_url": reverse("twofactor:done") if in_setup else conf.settings_path(),
        "destination": destination,
        "made_at": timezone.now(),
        "account": str(request.user),
        "sign_in_url": request.build_absolute_uri(resolve_url(settings.LOGIN_URL)),
    }
    response = render_page(request, "backup_codes", context, at=conf.settings_path())
    response["HX-Trigger"] = "twofactor-changed"
    return response


def remind_of_codes(request: HttpRequest, second_factor: SecondFactor | None) -> bool:
    """Add a message that the codes are shown only once, after Back or a reload. Return whether it was needed."""
    if request.session.pop(SHOWN, None) is None or second_factor is None:
        return False
    messages.warning(
        request,
        _(
            "Two-factor authentication is on. We show your backup codes only once. "
            "If you haven't saved them, make new ones."
        ),
    )
    return True
