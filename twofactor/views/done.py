"""The end of a setup: what is on now, and what happens at the next sign-in."""

from django.http import HttpResponse
from django.utils.translation import gettext as _

from twofactor import conf
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views._backup_codes import SHOWN
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page


@second_factor_page("GET", "HEAD", without_2fa="twofactor:settings")
def done(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    """Show the success page. `saved` comes from the checkbox below the backup codes: no reminder is needed then."""
    if "saved" in request.GET:
        request.session.pop(SHOWN, None)
    is_new_phone = "new_phone" in request.GET
    destination = next_url(request)
    context = {
        "title": _("Your new phone is set up") if is_new_phone else _("You're protected"),
        "second_factor": second_factor,
        "is_new_phone": is_new_phone,
        "is_elsewhere": bool(destination),
        "destination": destination or conf.settings_path(),
    }
    return render_page(request, "done", context)
