"""The page of a password reset link."""

from typing import Any

from allauth.account import views as allauth_views
from django.http import HttpResponse

from twofactor import known_browsers


class ResetPasswordKeyView(allauth_views.PasswordResetFromKeyView):
    """Make the browser known, so that a stranger's wrong passwords do not keep its owner out right after the reset."""

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        known_browsers.remember_reset(self.request, response, self.reset_user)
        return response
