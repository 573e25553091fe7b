"""allauth's log of how a session was authenticated: what the app records there, and whether a step-up is recent."""

import time
from urllib.parse import urlencode

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from twofactor import conf, step_up
from twofactor.forms import PasswordForm, SecondFactorForm

SECOND_FACTOR = "mfa"  # the method that allauth.mfa records


def record_second_factor(
    request: HttpRequest,
    user: AbstractBaseUser | AnonymousUser,
    form: SecondFactorForm,
    *,
    reauthenticated: bool = False,
) -> None:
    """Record an accepted second factor. Only with `reauthenticated` does allauth count it as a step-up."""
    more = {"reauthenticated": True} if reauthenticated else {}
    record_authentication(request, user, SECOND_FACTOR, type=form.allauth_type, **more)


def record_proof(request: HttpRequest, form: PasswordForm) -> None:
    """Record what a valid form proved: the password if it was asked for, the second factor if 2FA is on."""
    if form.cleaned_data.get("password"):
        record_authentication(request, request.user, "password", reauthenticated=True)
    if isinstance(form, SecondFactorForm):
        record_second_factor(request, request.user, form, reauthenticated=True)


def signed_in_recently(request: HttpRequest, *, now: float | None = None) -> bool:
    """Return whether this session signed in within FRESH_SECONDS. It is the only proof without a password and 2FA."""
    now = time.time() if now is None else now
    return any(
        now - record["at"] < conf.FRESH_SECONDS
        for record in get_authentication_records(request, request.user)
        if record["method"] != SECOND_FACTOR and not record.get("reauthenticated")
    )


def stepped_up_recently(request: HttpRequest, *, now: float | None = None) -> bool:
    """Return whether this session passed a step-up within ACCOUNT_REAUTHENTICATION_TIMEOUT. Signing in is not one."""
    now = time.time() if now is None else now
    proofs = [record for record in get_authentication_records(request, request.user) if record.get("reauthenticated")]
    return bool(proofs) and now - proofs[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT


def required_step_up_url(request: HttpRequest) -> str | None:
    """Return the URL of the step-up page, or None if the user passed a step-up recently or has nothing to prove.

    The page redirects back with a GET. What was posted is not kept, and the page says so. Signed-out users get
    the URL of sign-in.
    """
    if not request.user.is_authenticated:
        return step_up_url(request)
    has_nothing_to_prove = not get_adapter().get_reauthentication_methods(request.user)
    return None if has_nothing_to_prove or stepped_up_recently(request) else step_up_url(request)


def redirect_if_required(exception: Exception, request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the step-up page if the exception is allauth's request for one, otherwise None."""
    return redirect(step_up_url(request)) if isinstance(exception, ReauthenticationRequired) else None


def step_up_url(request: HttpRequest) -> str:
    """Return the URL of the step-up page that the adapter names, or of sign-in if the user has nothing to prove."""
    methods = get_adapter().get_reauthentication_methods(request.user)
    page = methods[0]["url"] if methods else reverse("account_login")
    return f"{page}?{urlencode(step_up.step_up_query(request))}"
