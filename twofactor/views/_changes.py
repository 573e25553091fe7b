"""What the views that change 2FA have in common: whose it is, the proof, the answer."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from twofactor.forms import ProofForm, method_of
from twofactor.models import Authenticator

View = Callable[..., HttpResponse]


class OwnRequest(HttpRequest):
    """A request of somebody who is signed in."""

    user: Any


def own_page(*methods: str) -> Callable[[View], View]:
    """For the signed-in only, these methods only, never stored; the view gets the user's authenticator or None."""

    def decorate(view: View) -> View:
        @require_http_methods([*methods])
        @login_required
        @never_cache
        @sensitive_post_parameters("password", "code", "backup_code")
        @transaction.non_atomic_requests  # an error after a try was charged must not give it back
        @wraps(view)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return view(request, getattr(request.user, "authenticator", None), *args, **kwargs)

        return page

    return decorate


def proof(request: HttpRequest, authenticator: Authenticator | None) -> ProofForm:
    """The form with the password and, where 2FA is on, a code: bound if this is its POST."""
    data = request.POST if request.method == "POST" else None
    return ProofForm(data, request=request, authenticator=authenticator, method=method_of(request))


def changed_meanwhile(request: HttpRequest) -> HttpResponse:
    """Another request came first; what this one wanted to change is no longer there."""
    messages.error(
        request,
        _("Two-factor authentication changed meanwhile, in another tab or browser. Nothing was done here."),
    )
    return redirect("twofactor:settings")


def next_of(request: HttpRequest) -> str:
    """Return where the person was going, if that is on this host; else nothing."""
    url = request.POST.get("next") or request.GET.get("next", "")
    is_own = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if is_own else ""
