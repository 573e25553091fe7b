"""URLs of the site. Those of twofactor and accounts come first, because they override some of allauth's."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.views.change_name import change_name
from accounts.views.confirm_email import ConfirmEmailView
from accounts.views.delete_account import delete_account
from accounts.views.email import EmailView
from accounts.views.login import LoginView
from accounts.views.reject_email import reject_email
from accounts.views.reset_password import ResetPasswordKeyView
from accounts.views.set_language import set_language
from accounts.views.signup import SignupView
from accounts.views.verification_sent import VerificationSentView
from config import views

RESET_LINK = r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$"  # as in allauth.account.urls

urlpatterns = [
    path("", views.home, name="home"),
    path("security/", views.security, name="security"),
    path("language/", set_language, name="set_language"),
    path("accounts/2fa/", include("twofactor.urls")),
    path("accounts/sessions/", views.SessionsView.as_view(), name="usersessions_list"),
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("accounts/name/", change_name, name="change_name"),
    path("accounts/delete/", delete_account, name="delete_account"),
    path("accounts/login/", LoginView.as_view(), name="account_login"),
    path("accounts/signup/", SignupView.as_view(), name="account_signup"),
    path("accounts/email/", EmailView.as_view(), name="account_email"),
    path(
        "accounts/",
        include([re_path(RESET_LINK, ResetPasswordKeyView.as_view(), name="account_reset_password_from_key")]),
    ),
    path("accounts/confirm-email/", VerificationSentView.as_view(), name="account_email_verification_sent"),
    path("accounts/confirm-email/<str:key>/", ConfirmEmailView.as_view(), name="account_confirm_email"),
    path("accounts/confirm-email/<str:key>/not-me/", reject_email, name="reject_email"),
    path(
        "accounts/reauthenticate/",
        RedirectView.as_view(pattern_name="twofactor:reauthenticate", query_string=True),
        name="account_reauthenticate",
    ),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.permission_denied"
handler404 = "config.error_pages.page_not_found"
handler500 = "config.error_pages.server_error"
handler429 = "config.error_pages.too_many_requests"
