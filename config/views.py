"""Pages of the site itself."""

from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from twofactor.models import SecondFactor


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    second_factor = SecondFactor.objects.for_user(request.user)
    codes_left = second_factor.codes_left if second_factor else 0
    return render(request, "home.html", {"second_factor": second_factor, "codes_left": codes_left})


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of the user's own sessions, which may be the current one."""
    end_sessions(request, [get_object_or_404(UserSession, pk=pk, user=request.user)])
    return redirect("usersessions_list")
