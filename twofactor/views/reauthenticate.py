"""Step-up for allauth's own pages and for the admin: the password and, where 2FA is on, the second factor."""

from typing import TypedDict
from urllib.parse import urlsplit

from allauth.account.utils import get_next_redirect_url
from allauth.account.views import BaseReauthenticateView
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import resolve_url
from django.urls import Resolver404, get_script_prefix, resolve, reverse
from django.utils.translation import gettext as _

from twofactor.forms import PasswordForm
from twofactor.reauthentication import record_proof
from twofactor.step_up import ask_to_send_again, is_unsent
from twofactor.views.common import second_factor_page
from twofactor.views.form_page import proof_form, show_form


class Context(TypedDict):
    """The part of the context of allauth's view that the template uses."""

    form: PasswordForm
    redirect_field_value: str | None


class ReauthenticateView(BaseReauthenticateView):
    """allauth's view with the app's form and template. It redirects back to the page that asked for the step-up."""

    def get_form(self, form_class: object = None) -> PasswordForm:
        return proof_form(self.request, *self.args)

    def form_valid(self, form: PasswordForm) -> HttpResponse:
        record_proof(self.request, form)
        ask_to_send_again(self.request)
        response: HttpResponse = super().form_valid(form)
        return response

    def get_cancel_url(self) -> str:
        """Return the page of the dropped form. Without a form, return the admin's index or LOGIN_REDIRECT_URL.

        The requested page itself would only require the step-up again.
        """
        page = get_next_redirect_url(self.request)
        cancel_url = page if is_unsent(self.request) else admin_index(page)
        return cancel_url or resolve_url(settings.LOGIN_REDIRECT_URL)

    def render_to_response(self, context: Context, **kwargs: object) -> HttpResponse:
        title = _("Confirm it's you")
        unsent = is_unsent(self.request)
        cancel_url = self.get_cancel_url()
        return show_form(self.request, "reauthenticate", title=title, unsent=unsent, cancel_url=cancel_url, **context)


def admin_index(page: str | None) -> str | None:
    """Return the index of the admin site that this page belongs to, or None."""
    try:
        match = resolve("/" + urlsplit(page or "").path.removeprefix(get_script_prefix()))
    except Resolver404:
        return None
    return reverse(f"{match.namespace}:index") if "admin" in match.app_names else None


reauthenticate = second_factor_page("GET", "HEAD", "POST")(ReauthenticateView.as_view())
