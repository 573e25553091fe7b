"""Step-up: the password, and a code where 2FA is on."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.utils import get_next_redirect_url
from django.http import HttpResponse
from django.urls import reverse

from twofactor.reauthentication import record_proof
from twofactor.step_up import StepUpMixin, ask_to_send_again, is_unsent


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
