"""URLs of the app. A site includes them where it likes, for example at /accounts/2fa/."""

from django.urls import path

from twofactor.views.activity import activity
from twofactor.views.add_passkey import add_passkey
from twofactor.views.confirm import confirm
from twofactor.views.disable import disable
from twofactor.views.done import done
from twofactor.views.lost import lost
from twofactor.views.not_me import not_me
from twofactor.views.reauthenticate import reauthenticate
from twofactor.views.regenerate_backup_codes import regenerate_backup_codes
from twofactor.views.remove_app import remove_app
from twofactor.views.remove_passkey import remove_passkey
from twofactor.views.rename_passkey import rename_passkey
from twofactor.views.settings import settings, status
from twofactor.views.setup import cancel_setup, setup
from twofactor.views.trusted_browsers import forget_browser, forget_browsers
from twofactor.views.verify_login import cancel_login, verify_login
from twofactor.views.verify_setup import verify_setup

app_name = "twofactor"

urlpatterns = [
    path("", settings, name="settings"),
    path("status/", status, name="status"),
    path("activity/", activity, name="activity"),
    path("not-me/", not_me, name="not_me"),
    path("setup/", setup, name="setup"),
    path("verify-setup/", verify_setup, name="verify_setup"),
    path("cancel-setup/", cancel_setup, name="cancel_setup"),
    path("remove-app/", remove_app, name="remove_app"),
    path("passkeys/add/", add_passkey, name="add_passkey"),
    path("passkeys/<int:pk>/rename/", rename_passkey, name="rename_passkey"),
    path("passkeys/<int:pk>/remove/", remove_passkey, name="remove_passkey"),
    path("done/", done, name="done"),
    path("regenerate-backup-codes/", regenerate_backup_codes, name="regenerate_backup_codes"),
    path("reauthenticate/", reauthenticate, name="reauthenticate"),
    path("disable/", disable, name="disable"),
    path("confirm/", confirm, name="confirm"),
    path("verify-login/", verify_login, name="verify_login"),
    path("cancel-login/", cancel_login, name="cancel_login"),
    path("lost/", lost, name="lost"),
    path("trusted-browsers/<int:pk>/forget/", forget_browser, name="forget_browser"),
    path("trusted-browsers/forget/", forget_browsers, name="forget_browsers"),
]
