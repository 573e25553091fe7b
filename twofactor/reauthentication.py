"""allauth's log of how a session was authenticated: what the app adds to it, and whether a proof in it is recent."""

import time
from typing import Any
from urllib.parse import urlencode

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from twofactor import conf, step_up
from twofactor.forms import ProofForm

SECOND_FACTOR = "mfa"  # as allauth.mfa names it, and its types
TYPES = {"code": "totp", "backup": "recovery_codes"}


def record_code(request: HttpRequest, user: Any, method: str, *, reauthenticated: bool = False) -> None:
    """Record an accepted code. With `reauthenticated` allauth's pages count it as a recent proof, else nothing does."""
    more = {"reauthenticated": True} if reauthenticated else {}
    record_authentication(request, user, SECOND_FACTOR, type=TYPES[method], **more)


def record_proof(request: HttpRequest, form: ProofForm) -> None:
    """Record what a valid form proved: the password where the user has one, the code where 2FA is on."""
    if form.has_password:
        record_authentication(request, request.user, "password", reauthenticated=True)
    if form.authenticator:
        record_code(request, request.user, form.method, reauthenticated=True)


def signed_in_lately(request: HttpRequest, *, now: float | None = None) -> bool:
    """True if this session began a moment ago: the one proof that somebody without a password can give."""
    now = time.time() if now is None else now
    return any(
        now - record["at"] < conf.FRESH_SECONDS
        for record in get_authentication_records(request, request.user)
        if record["method"] != SECOND_FACTOR and not record.get("reauthenticated")
    )


def proved_lately(request: HttpRequest, *, now: float | None = None) -> bool:
    """True if this session gave the proof that allauth's pages ask for, within the time that allauth gives it."""
    now = time.time() if now is None else now
    proofs = [record for record in get_authentication_records(request, request.user) if record.get("reauthenticated")]
    return bool(proofs) and now - proofs[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT


def way_to_proof(request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the page that asks for a proof; None if this session gave one lately.

    Signing in does not count. What was posted is dropped, and the page says so: people come back and send it again.
    """
    user: Any = request.user
    if getattr(user, "authenticator", None) and not user.has_usable_password():
        # Of somebody without a password allauth asks nothing; a code is a proof that they can give.
        if proved_lately(request):
            return None
        return redirect(reverse("twofactor:reauthenticate", query=step_up.query_for(request)))
    try:
        _pass(request)
    except ReauthenticationRequired as required:
        return answer_to(required, request)
    return None


def answer_to(exception: Exception, request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the page that asks for a proof, or to sign-in, if that is what the exception is about.

    The page is the one that the adapter names: allauth's own would redirect to it and lose `unsent`.
    """
    if not isinstance(exception, ReauthenticationRequired):
        return None
    methods = get_adapter().get_reauthentication_methods(request.user)
    page = methods[0]["url"] if methods else reverse("account_login")
    return redirect(f"{page}?{urlencode(step_up.query_for(request))}")


@reauthentication_required
def _pass(request: HttpRequest) -> None:
    pass
