"""The app's addresses; a site includes them where it likes, here at /accounts/2fa/."""

from django.urls import path

from twofactor import views

app_name = "twofactor"

urlpatterns = [
    path("", views.settings, name="settings"),
    path("status/", views.status, name="status"),
    path("setup/", views.setup, name="setup"),
    path("verify-setup/", views.verify_setup, name="verify_setup"),
    path("cancel-setup/", views.cancel_setup, name="cancel_setup"),
    path("regenerate-backup-codes/", views.regenerate_backup_codes, name="regenerate_backup_codes"),
    path("reauthenticate/", views.reauthenticate, name="reauthenticate"),
    path("disable/", views.disable, name="disable"),
    path("confirm/", views.confirm, name="confirm"),
    path("verify-login/", views.verify_login, name="verify_login"),
    path("cancel-login/", views.cancel_login, name="cancel_login"),
    path("trusted-browsers/<int:pk>/forget/", views.forget_browser, name="forget_browser"),
    path("trusted-browsers/forget/", views.forget_browsers, name="forget_browsers"),
]
