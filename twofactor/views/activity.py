"""The security events of the user, newest first."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from twofactor import conf
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views.common import AuthenticatedRequest, second_factor_page


@second_factor_page("GET", "HEAD")
def activity(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Show one page of events. A page number that does not exist shows the first or the last page."""
    pages = Paginator(request.user.security_events.order_by("-created_at", "-pk"), conf.EVENTS_ON_A_PAGE)
    context = {
        "title": _("Recent activity"),
        "events": pages.get_page(request.GET.get("page")),
        "url": reverse("twofactor:activity"),
    }
    return render_page(request, "activity", context)
