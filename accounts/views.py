"""allauth's views where the site answers otherwise."""

from typing import Any

from allauth.account import views as allauth_views
from django.http import HttpResponse


class ReauthenticateView(allauth_views.ReauthenticateView):
    """allauth's, with the status of the second factor's forms: a delayed try is answered 429, with Retry-After."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
        return response
