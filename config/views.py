"""Pages of the site itself."""

from operator import attrgetter
from typing import Any

from allauth.usersessions.forms import ManageUserSessionsForm
from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts import demo
from config import well_known
from twofactor import conf
from twofactor.models import SecondFactor
from twofactor.useragent import describe


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    second_factor = SecondFactor.objects.for_user(request.user)
    codes_left = second_factor.codes_left if second_factor else None
    codes_low = codes_left is not None and codes_left <= conf.CODES_LOW
    context = {
        "second_factor": second_factor,
        "codes_left": codes_left,
        "codes_low": codes_low,
        "demo": demo.account_for(request),
    }
    return render(request, "home.html", context)


@login_not_required
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Say how accounts are protected, and where to report a problem."""
    return render(request, "security.html", {"contact": well_known.contact()})


class SessionsView(ListUserSessionsView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """List the current session first, then the others, the last active first."""
        context = super().get_context_data(**kwargs)
        last_active_first = sorted(context["sessions"], key=attrgetter("last_seen_at"), reverse=True)
        context["sessions"] = sorted(last_active_first, key=UserSession.is_current, reverse=True)
        return context

    def form_valid(self, form: ManageUserSessionsForm) -> HttpResponse:
        form.save(self.request)
        messages.success(self.request, _("You're signed out everywhere else."))
        return redirect("usersessions_list")


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of the user's own sessions, which may be the current one."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    end_sessions(request, [session])
    if request.user.is_authenticated:
        browser = describe(session.user_agent) or session.ip
        messages.success(request, _("Signed out: %(browser)s.") % {"browser": browser})
    return redirect("usersessions_list")
