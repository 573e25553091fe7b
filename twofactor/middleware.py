"""The middleware of the second factor. It checks every request before a view runs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from allauth.account.decorators import secure_admin_login
from allauth.account.utils import has_verified_email
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, logout
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.translation import gettext as _

from twofactor import adapter, conf, enrolment, reauthentication, sessions
from twofactor.htmx import View, hx_redirect
from twofactor.models import SecondFactor

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

# URL names that are available while 2FA is due: the setup, signing out, and the language.
SETUP = {
    "twofactor:setup",
    "twofactor:verify_setup",
    "twofactor:cancel_setup",
    "twofactor:add_passkey",
    "account_logout",
    "set_language",
}
# Also available to users without a verified address, which the setup requires.
ADDRESS = {"account_email", "account_confirm_email", "account_reauthenticate", "twofactor:reauthenticate"}

GetResponse = Callable[[HttpRequest], HttpResponse]


class TwofactorMiddleware:
    """Check the second factor of each request. List it after HtmxMiddleware and allauth's AccountMiddleware.

    Sign out sessions that have not passed the current second factor, and redirect users who are required to have 2FA
    to its setup. Redirect the sign-in page of every admin site to the one that asks for a code, and answer allauth's
    requests for a step-up with the app's page.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (user := request.user).is_authenticated:
            check_session(request, user)
        if getattr(request, "twofactor_is_due", False) and not _is_exempt(request):
            return hx_redirect(request, redirect(enrolment.url(request)))
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: View, args: list[object], kwargs: dict[str, object]
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match and match.url_name == "login" and "admin" in match.app_names:
            return hx_redirect(request, secure_admin_login(view)(request, *args, **kwargs))
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Redirect to the step-up page, and drop what was posted. Redirect users who were deleted to sign-in.

        Django calls this before allauth's own middleware, which would store the POST in the session and carry it out
        after the step-up.
        """
        response = reauthentication.redirect_if_required(exception, request)
        response = response or sign_out_if_deleted(exception, request)
        return hx_redirect(request, response) if response else None


def sign_out_if_deleted(exception: Exception, request: HttpRequest) -> HttpResponse | None:
    """Sign the user out if the account was deleted during this request, for example during its sign-in.

    Then a new row of the user violates a foreign key, and `save(update_fields=...)` finds no row to update.
    """
    if not isinstance(exception, DatabaseError) or isinstance(exception, OperationalError):
        return None
    user = request.user
    if not user.is_authenticated or get_user_model()._base_manager.filter(pk=user.pk).exists():
        return None
    logout(request)
    messages.info(request, _("This account was deleted."))
    return redirect(settings.LOGIN_URL)


def check_session(request: HttpRequest, user: "_User") -> None:
    """Sign the user out if the session is not marked with the current version of 2FA.

    Such a session comes from a sign-in that bypassed the stage, for example a bare `login()`, or from before 2FA was
    turned on. This costs no query if the second factor was read with the user.

    For templates, set `request.twofactor_due`, the time from which the user has to have 2FA (or None), and
    `request.twofactor_is_due`.
    """
    second_factor = SecondFactor.objects.for_user(user)
    if not sessions.is_marked(request, second_factor):
        logout(request)
        messages.info(
            request,
            _("You were signed out because two-factor authentication changed. Please sign in again."),
        )
        return
    due = grace_ends_at(user, second_factor)
    request.twofactor_due = due  # type: ignore[attr-defined] # for the app's views and templates
    request.twofactor_is_due = bool(due and due <= timezone.now())  # type: ignore[attr-defined] # same


def grace_ends_at(user: "_User", second_factor: SecondFactor | None) -> datetime | None:
    """Return when this user has to have 2FA, or None if it is on or not required.

    The days of grace are counted from `date_joined`. Without that field the time is now.
    """
    if second_factor is not None or not adapter.current().is_required(user):
        return None
    joined = getattr(user, "date_joined", None)
    return joined + timedelta(days=conf.grace_days()) if joined else timezone.now()


def _is_exempt(request: HttpRequest) -> bool:
    if request.path.startswith(conf.exempt_paths()):
        return True
    try:
        name = resolve(request.path_info).view_name
    except Resolver404:
        return False
    return name in SETUP or (name in ADDRESS and not has_verified_email(request.user))
