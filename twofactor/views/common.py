"""Helpers of the views for signed-in users."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from twofactor.htmx import View, with_hx_redirect
from twofactor.methods import SENSITIVE_FIELDS
from twofactor.models import ChangedMeanwhile, SecondFactor

if TYPE_CHECKING:
    from django.contrib.auth.models import _User


class AuthenticatedRequest(HttpRequest):
    user: "_User"
    twofactor_due: datetime | None  # set by the middleware


def second_factor_page(*methods: str, without_2fa: str = "") -> Callable[[View], View]:
    """Decorate a view of the app: sign-in required, these HTTP methods only, never cached.

    The view gets the request and the user's second factor, None while 2FA is off. With `without_2fa`, the name of a
    URL, users without 2FA are redirected there. If the view raises ChangedMeanwhile, the settings page says so.
    """

    def decorate(view: View) -> View:
        @login_not_required  # Django's LoginRequiredMiddleware would redirect without HX-Redirect
        @with_hx_redirect
        @login_required
        @require_http_methods([*methods])
        @never_cache
        @sensitive_post_parameters(*SENSITIVE_FIELDS)
        @transaction.non_atomic_requests  # an error must not roll back a charged attempt
        @wraps(view)
        def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            second_factor = SecondFactor.objects.for_user(request.user)
            if without_2fa and second_factor is None:
                return redirect(without_2fa)
            try:
                return view(request, second_factor, *args, **kwargs)
            except ChangedMeanwhile:
                return changed_meanwhile(request)

        return page

    return decorate


def post_data(request: HttpRequest) -> QueryDict | None:
    """Return what binds a form: the data of a POST, and None for any other method."""
    return request.POST if request.method == "POST" else None


def changed_meanwhile(request: HttpRequest) -> HttpResponse:
    """Answer a change that another request made impossible."""
    text = _("Two-factor authentication was changed in another tab or browser, so we changed nothing here.")
    messages.error(request, text)
    return redirect("twofactor:settings")


def next_url(request: HttpRequest) -> str:
    """Return the `next` of the form or the query string if it is on this host, and otherwise an empty string."""
    url = request.POST.get("next") or request.GET.get("next", "")
    is_own = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if is_own else ""
