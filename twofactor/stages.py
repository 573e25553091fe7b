"""The sign-in stage for the second factor. Only this module imports allauth's stages."""

import secrets
import time
from functools import wraps

from allauth.account.stages import LoginStage, LoginStageController
from allauth.account.utils import get_login_redirect_url
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from twofactor import adapter, conf, limits, sessions, trust
from twofactor.attempts import Attempt
from twofactor.fields import trust_field
from twofactor.forms import SecondFactorForm
from twofactor.htmx import View, render_page, wants_panel, with_hx_redirect
from twofactor.methods import first_form, form_for
from twofactor.models import SecondFactor

# Session key: when the last pending sign-in began, its next URL, and why it ended. It stays after the sign-in ended.
KEY = "twofactor_sign_in"


class Ending(TextChoices):
    """Why a pending sign-in ended, with the message on the sign-in page."""

    EXPIRED = "expired", gettext_lazy("Your sign-in took longer than ten minutes. Please sign in again.")
    WRONG_CODES = "wrong_codes", gettext_lazy("Too many wrong codes. Please sign in again.")
    CHANGED = (
        "changed",
        gettext_lazy("Your password or two-factor authentication has just changed. Please sign in again."),
    )
    REPLACED = (
        "replaced",
        gettext_lazy("You started another sign-in or sign-up in this browser. Please sign in again."),
    )
    ENDED = "over", gettext_lazy("That sign-in has ended. Please sign in again.")


class VerifyStage(LoginStage):
    """Interrupt the sign-in after the password until the user proves the second factor."""

    key = "twofactor_verify"
    urlname = "twofactor:verify_login"
    second_factor: SecondFactor
    pending_id: str

    def handle(self) -> tuple[HttpResponse | None, bool]:
        user = self.login.user
        self.request.session.pop(KEY, None)
        second_factor = SecondFactor.objects.for_user(user)
        if second_factor is None:
            return None, True
        if trust.is_trusted(self.request, user, second_factor):
            sessions.mark(self.request, second_factor, sessions.TRUSTED_BROWSER)
            return None, True
        self.second_factor = second_factor
        self.pending_id = secrets.token_hex(16)
        # The pending sign-in is bound to the 2FA version and the password hash. It ends if either changes.
        self.state["pending"] = self.pending_id
        self.state["version"] = second_factor.version
        self.state["password"] = user.get_session_auth_hash()
        self.request.session[KEY] = {"began": int(time.time()), "next": self.login.redirect_url, "ending": None}
        if self.request.session.session_key:  # a new session gets its first key when it is saved
            self.request.session.cycle_key()
        if wants_panel(self.request):
            return self.show(self._prepare(first_form(self._attempt()))), True
        return redirect(self.urlname), True

    def is_resumable(self, request: HttpRequest) -> bool:
        """Return whether allauth redirects this request to the stage: only if it opens the sign-in page.

        A submitted form begins another sign-in or sign-up. If this returned True for the sign-up page, opening that
        page would end this sign-in.
        """
        return request.method in ("GET", "HEAD") and request.path == reverse("account_login")

    def resume(self) -> Ending | None:
        """Load the current state. Return why this sign-in must end, or None if it may continue."""
        user = self.login.user
        if user is None or not user.is_active:
            return Ending.ENDED
        if _is_expired(self.request):
            return Ending.EXPIRED
        second_factor = SecondFactor.objects.for_user(user)  # allauth has just read the user
        if second_factor is None or second_factor.version != self.state["version"]:
            return Ending.CHANGED
        if not constant_time_compare(user.get_session_auth_hash(), self.state["password"]):
            return Ending.CHANGED
        self.second_factor = second_factor
        self.pending_id = self.state["pending"]
        return None

    def form(self) -> SecondFactorForm:
        """Return the form of the requested method; a POST binds it."""
        return self._prepare(form_for(self.request, self._attempt()))

    def _attempt(self) -> Attempt:
        return Attempt(self.request, self.second_factor, pending_id=self.pending_id)

    def _prepare(self, form: SecondFactorForm) -> SecondFactorForm:
        # Identifies the sign-in, because another tab may still show the form of an earlier one.
        form.fields["sign_in"] = forms.CharField(widget=forms.HiddenInput, initial=self.pending_id, required=False)
        form.use_alone()
        if days := conf.trust_days():
            form.fields["trust"] = trust_field(days)
            form.sends_itself = False  # it would leave no time to tick the checkbox
        return form

    def show(self, form: SecondFactorForm) -> HttpResponse:
        """Show the form. If too many codes were wrong, end the sign-in instead."""
        if form.is_refused("ended"):
            return self.end(Ending.WRONG_CODES)
        if form.is_refused("closed"):
            return self.leave_to_another_request()
        at = reverse(self.urlname) + form.query
        account = adapter.current().label(self.login.user)
        return render_page(self.request, "verify_login", {"title": form.title, "account": account, "form": form}, at=at)

    def exit(self) -> HttpResponse:
        self.request.session.pop(KEY, None)
        response: HttpResponse = super().exit()
        return response

    def end(self, ending: Ending) -> HttpResponse:
        """End this sign-in. The sign-in page shows why."""
        self.abort()
        return _sign_in_again(self.request, ending)

    def cancel(self) -> HttpResponse:
        """End this sign-in without a message, because the user asked for it."""
        self.abort()
        return _redirect_to_sign_in(_remember_ending(self.request, Ending.ENDED))

    def leave_to_another_request(self) -> HttpResponse:
        """Redirect after a parallel request ended this sign-in. Leave the session as that request saved it."""
        if limits.sign_in(self.pending_id).hits == limits.USED_UP:
            messages.error(self.request, Ending.WRONG_CODES.label)
        return _redirect_to_sign_in(self.login.redirect_url)


def verify_stage_required(view: View) -> View:
    """Pass the stage of the pending sign-in to the view. Without one, redirect to the sign-in page.

    Redirect users who are already signed in to their next page.
    """

    @login_not_required
    @with_hx_redirect
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_authenticated:
            return HttpResponseRedirect(get_login_redirect_url(request))  # `redirect` takes names of URLs too
        stage: VerifyStage | None = LoginStageController.enter(request, VerifyStage.key)
        if stage is None:
            return _sign_in_again(request, _past_ending(request))
        if ending := stage.resume():
            return stage.end(ending)
        if request.POST.get("sign_in") not in (None, "", stage.pending_id):
            # This form belongs to an earlier sign-in from another tab. Its code may be for another account.
            messages.warning(
                request, _("You started another sign-in in this browser. Enter the code for that one, or cancel it.")
            )
            return redirect(stage.urlname)
        return view(request, stage, *args, **kwargs)

    return guarded


def is_pending(request: HttpRequest) -> bool:
    """Return whether this session has a pending sign-in."""
    return KEY in request.session and request.session[KEY]["ending"] is None


def _is_expired(request: HttpRequest) -> bool:
    began: int = request.session.get(KEY, {}).get("began", 0)
    return time.time() - began > conf.PENDING_SECONDS


def _past_ending(request: HttpRequest) -> Ending:
    """Return why there is no pending sign-in any more, according to the session."""
    if KEY not in request.session:
        return Ending.ENDED
    if ending := request.session[KEY]["ending"]:
        return Ending(ending)
    return Ending.EXPIRED if _is_expired(request) else Ending.REPLACED


def _sign_in_again(request: HttpRequest, ending: Ending) -> HttpResponse:
    messages.error(request, ending.label)
    return _redirect_to_sign_in(_remember_ending(request, ending))


def _remember_ending(request: HttpRequest, ending: Ending) -> str | None:
    """Store why the sign-in ended, for a reload or the Back button. Return its next URL."""
    if KEY not in request.session:
        return None
    request.session[KEY] = {**request.session[KEY], "ending": ending}
    next_url: str | None = request.session[KEY]["next"]
    return next_url


def _redirect_to_sign_in(next_url: str | None) -> HttpResponse:
    """Redirect to the sign-in page, where allauth checks that `next_url` is safe."""
    return redirect(reverse("account_login", query={"next": next_url} if next_url else None))
