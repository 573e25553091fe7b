"""allauth's views where the site answers otherwise."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import addresses
from accounts.forms import SIGNED_UP, ResetPasswordKeyForm
from twofactor.reauthentication import record_proof
from twofactor.step_up import StepUpMixin, ask_to_send_again, is_unsent


class ConfirmEmailView(allauth_views.ConfirmEmailView):
    """The page of a confirmation link.

    A further address is confirmed only while signed in to its account. A new account is confirmed by one click in the
    browser that signed up. Anywhere else the link asks for a new password, since a stranger may have signed up. allauth
    confirms in any browser, and signs other users out.
    """

    def logout_other_user(self, confirmation: EmailConfirmationHMAC) -> None:
        """Sign nobody out."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        self.object = self.get_object()
        if self.is_new and not self.signed_up_here:
            return self.set_password()
        if not self.is_new and not self.is_own:
            return self.render_to_response(self.get_context_data(), status=403)
        return super().post(*args, **kwargs)

    def set_password(self) -> HttpResponse:
        claim = self.object.email_address
        form = ResetPasswordKeyForm(self.request.POST, user=claim.user, claim=claim)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form), status=422)
        form.save()
        return redirect("account_login")

    @property
    def is_new(self) -> bool:
        return addresses.is_new(self.object.email_address.user)

    @property
    def is_own(self) -> bool:
        return self.request.user.pk == self.object.email_address.user_id

    @property
    def signed_up_here(self) -> bool:
        return self.request.session.get(SIGNED_UP) == str(self.object.email_address.user_id)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if not context["can_confirm"]:
            return context
        user = self.object.email_address.user
        context |= {"is_new": self.is_new, "is_own": self.is_own, "account": addresses.masked(user.email)}
        if self.is_new and not self.signed_up_here:
            context.setdefault("form", ResetPasswordKeyForm(user=user, claim=self.object.email_address))
        return context


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reject_email(request: HttpRequest, key: str) -> HttpResponse:
    """ "This wasn't me": remove an unconfirmed address, and the new account that signed up with it.

    A GET changes nothing, since mail scanners follow links.
    """
    confirmation = EmailConfirmationHMAC.from_key(key)
    if confirmation is None:
        return render(request, "account/email_reject.html")
    claim = confirmation.email_address
    is_new = addresses.is_new(claim.user)
    context = {"confirmation": confirmation, "email": claim.email, "is_new": is_new}
    if request.method != "POST":
        return render(request, "account/email_reject.html", context)
    try:
        addresses.reject(claim)
    except addresses.Taken:
        return render(request, "account/email_reject.html", {**context, "is_in_use": True}, status=409)
    return render(request, "account/email_reject.html", {**context, "is_done": True})


class EmailView(allauth_views.EmailView):
    """allauth's, in one transaction: what another account holds is refused in words, and nothing is half changed."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                if "action_primary" in request.POST and not self.make_room(request):
                    return redirect("account_email")
                return super().post(request, *args, **kwargs)
        except (addresses.Taken, IntegrityError):
            messages.error(request, addresses.TAKEN)
            return redirect("account_email")

    def make_room(self, request: HttpRequest) -> bool:
        """Free the address that is to be primary; False, and a message, unless this account confirmed it."""
        own = EmailAddress.objects.filter(user=request.user, email=request.POST.get("email", "").lower()).first()
        if own is None or not own.verified:
            get_adapter().add_message(request, messages.ERROR, "account/messages/unverified_primary_email.txt")
            return False
        addresses.release(own.email, to=own.user)
        return True


class ReauthenticateView(StepUpMixin, allauth_views.ReauthenticateView):
    """allauth's, with the status of the second factor's forms: a delayed try is answered 429, with Retry-After."""

    def form_valid(self, form: Any) -> HttpResponse:
        # In place of allauth's own form_valid(), which records the password alone.
        record_proof(self.request, form)
        ask_to_send_again(self.request)
        return super(allauth_views.ReauthenticateView, self).form_valid(form)

    def get_cancel_url(self) -> str:
        """Keep staff in the admin. Its empty forms ask for the proof themselves, so Cancel cannot lead back to them."""
        admin, page = reverse("admin:index"), get_next_redirect_url(self.request) or ""
        return admin if page.startswith(admin) and not is_unsent(self.request) else super().get_cancel_url()

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
        return response
