"""The page of a confirmation link."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.models import EmailConfirmationHMAC
from django.http import Http404, HttpResponse
from django.shortcuts import redirect

from accounts import addresses, confirmation
from accounts.forms import SIGNED_UP, ResetPasswordKeyForm


class ConfirmEmailView(allauth_views.ConfirmEmailView):
    """Confirm an address, if this browser may.

    Confirming a further address requires being signed in to its account. The browser that signed up confirms its new
    account by one click; any other browser has to set a new password, since a stranger may have signed up. allauth
    confirms in any browser, and signs other users out.
    """

    def logout_other_user(self, confirmation: EmailConfirmationHMAC) -> None:
        """Keep the other user signed in."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            self.object = self.get_object()
        except Http404:  # a second click or a used link: show the page of a GET
            self.object = None
            return self.render_to_response(self.get_context_data(), status=404)
        if self.is_new:
            return self.finish_sign_up(*args, **kwargs)
        if not self.is_own:
            return self.render_to_response(self.get_context_data(), status=403)
        return super().post(*args, **kwargs)

    def finish_sign_up(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(*args, **kwargs) if self.signed_up_here else self.set_password()
        if response.status_code == 302:  # to the sign-in page
            confirmation.finish(self.request, self.object.email_address.email)
        return response

    def get_object(self, queryset: Any = None) -> EmailConfirmationHMAC:
        if found := addresses.confirmation_of(self.kwargs["key"]):
            return found
        raise Http404

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
