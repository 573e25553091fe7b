"""The pages that belong to the site and to no app."""

from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST


@login_not_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    authenticator = getattr(request.user, "authenticator", None)
    left = authenticator.codes_left if authenticator else 0
    return render(request, "home.html", {"authenticator": authenticator, "codes_left": left})


@login_not_required
@never_cache
@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """200 only when the database and the cache answer; no session, no cookie."""
    word = get_random_string(12)
    cache.set(f"healthz:{word}", word, 10)
    healthy = cache.get(f"healthz:{word}") == word
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        healthy = False
    return HttpResponse("ok\n" if healthy else "not ready\n", status=200 if healthy else 503, content_type="text/plain")


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one of the user's own sessions out; this very one too, if that is the one meant."""
    end_sessions(request, [get_object_or_404(UserSession, pk=pk, user=request.user)])
    return redirect("usersessions_list")
