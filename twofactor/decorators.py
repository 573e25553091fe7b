"""For a host's own views: a second factor used within so many minutes. docs/reuse.md says when to ask for which."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from twofactor import htmx, sessions, setup
from twofactor.forms import ConfirmForm
from twofactor.models import Authenticator
from twofactor.step_up import SAFE
from twofactor.views.confirm import JUST_NOW, address, show

MAX_AGE = timedelta(minutes=10)
SETUP_URL = "twofactor:setup"
SYNC_ONLY = "A second factor can be required of sync views only, and this one is async."

View = Callable[..., HttpResponse]


def second_factor_required(
    view: View | None = None, *, max_age: timedelta | float = MAX_AGE, setup_url: str = SETUP_URL
) -> Any:
    """Let in whoever is signed in and typed a code or backup code within `max_age`.

    That is a timedelta, or seconds, 60 at least. Everybody else types one first and comes back by a GET; what they sent
    is neither looked at nor kept. Whoever has no 2FA is led to `setup_url`, a path or the name of one. No browser or
    cache stores what the view answers, or it would be shown without asking.
    """
    within = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if within < JUST_NOW:
        raise ValueError(f"max_age is {within} seconds: {JUST_NOW} is the least that somebody can keep to.")

    def decorate(view: View) -> View:
        if is_async(view):
            raise TypeError(SYNC_ONLY)

        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            authenticator = getattr(request.user, "authenticator", None)
            if sessions.used_recently(request, authenticator, within=within):
                return view(request, *args, **kwargs)
            return _ask(request, authenticator, setup_url)

        return guarded

    return decorate(view) if view else decorate


def is_async(view: View) -> bool:
    """Return True for an async view, and for the `dispatch` of an async class, itself a plain method."""
    method = getattr(view, "func", view)  # method_decorator passes a partial
    return iscoroutinefunction(view) or getattr(getattr(method, "__self__", None), "view_is_async", False)


@htmx.with_hx_redirect
@login_required
def _ask(request: HttpRequest, authenticator: Authenticator | None, setup_url: str) -> HttpResponse:
    """A program is told where to go, htmx gets the form in the place of the panel, a person is led to it."""
    query: dict[str, Any] = {"next": htmx.return_path(request), "unsent": request.method not in SAFE}
    if authenticator:
        url = address(**query)
    else:
        url = setup.url(request) if setup_url == SETUP_URL else resolve_url(setup_url)
    if htmx.is_scripted(request):
        return JsonResponse({"error": "second_factor_required", "url": url}, status=403)
    if authenticator is None:
        messages.info(request, _("That page asks for a second factor: turn on two-factor authentication first."))
    elif htmx.targets_panel(request):
        return _in_place(show(request, ConfirmForm(request=request, authenticator=authenticator), **query), url)
    return HttpResponseRedirect(url)


def _in_place(response: HttpResponse, url: str) -> HttpResponse:
    """The form takes the panel's place, however the host's own button would have swapped, and has its own address."""
    response.status_code = 403
    response["HX-Push-Url"] = url
    response["HX-Retarget"] = response["HX-Reselect"] = "#panel"
    response["HX-Reswap"] = "outerHTML"
    return response
