"""Step-up: the password, and a code where 2FA is on."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.utils import get_next_redirect_url
from django.http import HttpResponse
from django.urls import reverse

from accounts.views._status import FormStatusMixin
from twofactor.reauthentication import record_proof
from twofactor.step_up import StepUpMixin, ask_to_send_again, is_unsent


class ReauthenticateView(StepUpMixin, FormStatusMixin, allauth_views.ReauthenticateView):
    """allauth's, with a code where 2FA is on."""

    def form_valid(self, form: Any) -> HttpResponse:
        # In place of allauth's own form_valid(), which records the password alone.
        record_proof(self.request, form)
        ask_to_send_again(self.request)
        return super(allauth_views.ReauthenticateView, self).form_valid(form)

    def get_cancel_url(self) -> str:
        """Keep staff in the admin. Its empty forms ask for the proof themselves, so Cancel cannot lead back to them."""
        admin, page = reverse("admin:index"), get_next_redirect_url(self.request) or ""
        return admin if page.startswith(admin) and not is_unsent(self.request) else super().get_cancel_url()
