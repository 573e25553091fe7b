"""The second wall, behind the stage: it closes every way round, and holds whoever must have 2FA and has not.

A site puts TwofactorMiddleware into MIDDLEWARE, which is all that the app does around a view.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.utils import has_verified_email
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxMiddleware

from twofactor import adapter, conf, reauthentication, sessions, setup
from twofactor.htmx import RedirectMiddleware
from twofactor.models import Authenticator

# Names of the pages that turning 2FA on takes, and the way out.
SETUP = {
    "twofactor:setup",
    "twofactor:verify_setup",
    "twofactor:cancel_setup",
    "account_logout",
    "set_language",
}
# Where to get the verified address that setup asks for, for whoever has none.
ADDRESS = {"account_email", "account_confirm_email", "account_reauthenticate", "twofactor:reauthenticate"}

GetResponse = Callable[[HttpRequest], HttpResponse]


class TwofactorMiddleware:
    """Stands after allauth's AccountMiddleware: htmx, its redirects, the second wall, the admin's sign-in."""

    def __init__(self, get_response: GetResponse) -> None:
        wall = SecondWallMiddleware(get_response)
        self.around: GetResponse = HtmxMiddleware(RedirectMiddleware(wall))  # type: ignore[assignment]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.around(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Lead from the sign-in of any admin site to the one that asks for a code."""
        match = request.resolver_match
        if match and match.url_name == "login" and "admin" in match.app_names:
            return secure_admin_login(view)(request, *args, **kwargs)
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Ask for a proof before a page of allauth's, and drop what was posted.

        allauth's own middleware, which comes later, would keep it in the session and carry it out after the proof.
        """
        return reauthentication.redirect_if_required(exception, request)


class SecondWallMiddleware:
    """Signs out a session whose mark does not fit its user's 2FA, before any view runs.

    A stray `login()`, sessions from before 2FA was on, other backends: none has the mark that the stage leaves.
    The user's authenticator comes with the user, so that this costs no query. Stands after
    AuthenticationMiddleware, MessageMiddleware and allauth's AccountMiddleware.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            authenticator = getattr(request.user, "authenticator", None)
            if not sessions.is_marked(request, authenticator):
                logout(request)
                messages.info(
                    request,
                    _("You were signed out, because two-factor authentication changed. Please sign in again."),
                )
            else:
                # For templates: the notice that counts down on every page of the site, and the way out of the setup.
                due = grace_ends_at(request.user, authenticator)
                request.twofactor_due = due  # type: ignore[attr-defined]
                request.twofactor_is_due = is_due = bool(due and due <= timezone.now())  # type: ignore[attr-defined]
                if is_due and not _is_open(request):
                    return redirect(setup.url(request))
        return self.get_response(request)


def grace_ends_at(user: Any, authenticator: Authenticator | None) -> datetime | None:
    """When a user who must have 2FA and has not is held at its setup; None for everybody else.

    At once where users have no `date_joined` that the days of grace could be counted from.
    """
    if authenticator is not None or not adapter.current().is_required(user):
        return None
    joined = getattr(user, "date_joined", None)
    return joined + timedelta(days=conf.grace_days()) if joined else timezone.now()


def _is_open(request: HttpRequest) -> bool:
    if request.path.startswith(conf.exempt_paths()):
        return True
    try:
        name = resolve(request.path_info).view_name
    except Resolver404:
        return False
    return name in SETUP or (name in ADDRESS and not has_verified_email(request.user))
