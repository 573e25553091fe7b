"""Our step in allauth's sign-in, and the only importer of allauth's chain of stages."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.stages import LoginStage
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from twofactor import conf, sessions, trust
from twofactor.forms import VerifyLoginForm
from twofactor.htmx import render_page, wants_panel
from twofactor.models import Authenticator, PendingSignIn, new_pending_id


class VerifyStage(LoginStage):
    """After the password, before the session: stop here while a code is owed."""

    key = "twofactor_verify"
    urlname = "twofactor:verify_login"
    authenticator: Authenticator

    def handle(self) -> tuple[HttpResponse | None, bool]:
        user = self.login.user
        authenticator = getattr(user, "authenticator", None)  # read with the user, or now
        if authenticator is None:
            return None, True
        if trust.is_trusted(self.request, user, authenticator):
            sessions.mark(self.request, authenticator, "trusted browser")
            return None, True
        self.authenticator = authenticator
        # What the rest of this sign-in stands on; a change of any of it ends the sign-in.
        self.state["pending"] = new_pending_id()
        self.state["began"] = int(time.time())
        self.state["version"] = authenticator.version
        self.state["password"] = user.get_session_auth_hash()
        self.request.session.cycle_key()
        if wants_panel(self.request):
            return self.show(self.form()), True
        return redirect(self.urlname), True

    def resume(self) -> bool:
        """Read everything again; False if this sign-in must not go on."""
        user = self.login.user
        authenticator = getattr(user, "authenticator", None)  # allauth read the user just now
        began = self.state.get("began", 0)
        if authenticator is None or not user.is_active or time.time() - began > conf.PENDING_SECONDS:
            return False
        self.authenticator = authenticator
        self.pending = PendingSignIn(pk=self.state["pending"], user_id=user.pk)
        return authenticator.version == self.state["version"] and constant_time_compare(
            user.get_session_auth_hash(), self.state["password"]
        )

    def form(self, data: Any = None, *, method: str = "code") -> VerifyLoginForm:
        return VerifyLoginForm(
            data,
            request=self.request,
            authenticator=self.authenticator,
            method=method,
            pending=getattr(self, "pending", None),
        )

    def show(self, form: VerifyLoginForm) -> HttpResponse:
        at = reverse(self.urlname) + ("?method=backup" if form.method == "backup" else "")
        return render_page(self.request, "verify_login", {"form": form, "method": form.method}, at=at)


def verify_stage_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Call the view with the pending sign-in's stage; lead everybody else to sign-in, or to where they were going."""

    @login_stage_required(stage=VerifyStage.key, redirect_urlname="account_login")
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        stage: VerifyStage = request._login_stage  # type: ignore[attr-defined]
        if not stage.resume():
            return over(request, stage)
        return view(request, stage, *args, **kwargs)

    return guarded


def over(request: HttpRequest, stage: VerifyStage) -> HttpResponse:
    """End the pending sign-in; a redirect to the sign-in page alone would come back here for ever."""
    messages.error(request, _("That sign-in is over. Please sign in again."))
    return stage.abort()
