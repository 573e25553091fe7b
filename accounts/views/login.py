"""The sign-in page."""

from allauth.account import views as allauth_views

from accounts.views._status import FormStatusMixin


class LoginView(FormStatusMixin, allauth_views.LoginView):
    """allauth's view, with status 422 for errors, and 429 if the password was not checked."""
