"""One module a page. A view finds the object, binds the form, acts, renders."""

from twofactor.views.confirm import confirm
from twofactor.views.disable import disable
from twofactor.views.reauthenticate import reauthenticate
from twofactor.views.regenerate_backup_codes import regenerate_backup_codes
from twofactor.views.settings import settings, status
from twofactor.views.setup import cancel_setup, setup
from twofactor.views.trusted_browsers import forget_browser, forget_browsers
from twofactor.views.verify_login import cancel_login, verify_login
from twofactor.views.verify_setup import verify_setup

__all__ = [
    "cancel_login",
    "cancel_setup",
    "confirm",
    "disable",
    "forget_browser",
    "forget_browsers",
    "reauthenticate",
    "regenerate_backup_codes",
    "settings",
    "setup",
    "status",
    "verify_login",
    "verify_setup",
]
