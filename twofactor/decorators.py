"""For a host's own views: require a recently used second factor. docs/reuse.md explains when to use which step-up."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import overload

from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from twofactor import enrolment, htmx, sessions
from twofactor.attempts import Attempt
from twofactor.forms import first_form
from twofactor.models import SecondFactor
from twofactor.step_up import MIN_MAX_AGE, SAFE, confirm_context, confirm_url

MAX_AGE = timedelta(minutes=10)
SETUP_URL = "twofactor:setup"
SYNC_ONLY = "A second factor can be required for sync views only, and this view is async."

View = Callable[..., HttpResponseBase]


@overload
def second_factor_required(view: View) -> View: ...


@overload
def second_factor_required(
    *, max_age: timedelta | float = MAX_AGE, setup_url: str = SETUP_URL
) -> Callable[[View], View]: ...


def second_factor_required(
    view: View | None = None, *, max_age: timedelta | float = MAX_AGE, setup_url: str = SETUP_URL
) -> View | Callable[[View], View]:
    """Decorate a view: it runs only if a second factor was accepted in this session within `max_age`.

    Other users are asked for one first, and then return to the page by a GET. A form that they posted is dropped. The
    view's responses are never cached, because a cached response would be shown without the check.

    `max_age` is a timedelta or seconds, at least 60. `setup_url`, a URL or the name of one, is for users without 2FA.
    Raise ValueError if `max_age` is too small, and TypeError if the view is async.
    """
    within = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if within < MIN_MAX_AGE:
        raise ValueError(f"max_age is {within} seconds. It has to be at least {MIN_MAX_AGE}.")

    def decorate(view: View) -> View:
        if is_async(view):
            raise TypeError(SYNC_ONLY)

        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            second_factor = SecondFactor.objects.for_user(request.user)
            if sessions.used_recently(request, second_factor, within=within):
                return view(request, *args, **kwargs)
            return _ask(request, second_factor, setup_url)

        return guarded

    return decorate(view) if view else decorate


def is_async(view: View) -> bool:
    """Return whether this is an async view, or the `dispatch` of an async class, which is itself a plain method."""
    method = getattr(view, "func", view)  # method_decorator passes a partial
    return iscoroutinefunction(view) or getattr(getattr(method, "__self__", None), "view_is_async", False)


@htmx.with_hx_redirect
@login_required
def _ask(request: HttpRequest, second_factor: SecondFactor | None, setup_url: str) -> HttpResponse:
    """Ask for the second factor: with JSON for a program, in place for htmx, and otherwise with a redirect."""
    page = htmx.return_path(request)
    unsent = request.method not in SAFE
    if second_factor:
        url = confirm_url(page, unsent=unsent)
    else:
        url = enrolment.url(request) if setup_url == SETUP_URL else resolve_url(setup_url)
    if htmx.is_scripted(request):
        return JsonResponse({"error": "second_factor_required", "url": url}, status=403)
    if second_factor is None:
        messages.info(request, _("That page needs two-factor authentication. Turn it on first."))
    elif htmx.targets_panel(request):
        form = first_form(Attempt(request, second_factor))
        form.use_alone()
        context = {"form": form, **confirm_context(page, unsent=unsent)}
        return _in_place(htmx.render_page(request, "confirm", context), url)
    return HttpResponseRedirect(url)


def _in_place(response: HttpResponse, url: str) -> HttpResponse:
    """Make htmx replace the panel with this response, whatever the host's button targets, and show this URL."""
    response.status_code = 403
    response["HX-Push-Url"] = url
    response["HX-Retarget"] = response["HX-Reselect"] = "#panel"
    response["HX-Reswap"] = "outerHTML"
    return response
