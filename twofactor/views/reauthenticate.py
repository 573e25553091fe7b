"""Step-up for allauth's own pages (e-mail, say) and for the admin: password and code, then on to what waited."""

from typing import Any

from allauth.account.views import BaseReauthenticateView
from django.http import HttpResponse
from django.utils.translation import gettext as _

from twofactor.forms import ProofForm
from twofactor.reauthentication import record_proof
from twofactor.step_up import StepUpMixin
from twofactor.views.common import second_factor_page
from twofactor.views.form_page import proof_form, show_form


class ReauthenticateView(StepUpMixin, BaseReauthenticateView):
    """allauth's way back to what asked for the proof; only the form and the page are ours."""

    def get_form(self, form_class: Any = None) -> ProofForm:
        return proof_form(self.request, *self.args)

    def form_valid(self, form: ProofForm) -> HttpResponse:
        record_proof(self.request, form)
        return super().form_valid(form)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        return show_form(self.request, "reauthenticate", title=_("Confirm that it is you"), **context)


reauthenticate = second_factor_page("GET", "HEAD", "POST")(ReauthenticateView.as_view())
