"""The sign-in page."""

from typing import Any

from allauth.account import views as allauth_views
from django.http import HttpResponse

from accounts import confirmation
from accounts.forms import LoginForm


class LoginView(allauth_views.LoginView):
    """allauth's view, with status 422 for errors, and 429 with Retry-After if the password was not checked."""

    def get_initial(self) -> dict[str, Any]:
        return {**super().get_initial(), "login": confirmation.take_confirmed(self.request)}

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
        return response
