"""allauth's views where the site answers otherwise, one module a page."""

from accounts.views.confirm_email import ConfirmEmailView
from accounts.views.email import EmailView
from accounts.views.login import LoginView
from accounts.views.reauthenticate import ReauthenticateView
from accounts.views.reject_email import reject_email
from accounts.views.set_language import set_language

__all__ = ["ConfirmEmailView", "EmailView", "LoginView", "ReauthenticateView", "reject_email", "set_language"]
