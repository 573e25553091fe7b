"""What to do without phone and backup codes. The text and the address of the operator come from the host's adapter."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from twofactor import adapter, stages
from twofactor.htmx import render_page, with_hx_redirect


@login_not_required
@with_hx_redirect
@require_safe
@never_cache
def lost(request: HttpRequest) -> HttpResponse:
    site_adapter = adapter.current()
    context = {
        "title": _("Lost your phone and your codes?"),
        "help": site_adapter.recovery_help(request),
        "support_email": site_adapter.support_email(),
        "is_pending": stages.is_pending(request),
    }
    return render_page(request, "lost", context)
