"""The rows of the second factor, one module for each.

Credentials are added and removed only inside `SecondFactor.change()`. Imports, which write many users at once, and a
reset by staff, which always succeeds, are the exceptions. docs/architecture.md lists what changes the other rows.
"""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

# A host can name the stage, the middleware or the URLs of this app and forget to install it.
if not apps.is_installed("twofactor"):
    raise ImproperlyConfigured('twofactor is not installed. Add "twofactor" to INSTALLED_APPS.')

from twofactor.models.app import AuthenticatorApp
from twofactor.models.backup_code import BackupCode
from twofactor.models.browser import TrustedBrowser
from twofactor.models.event import SecurityEvent
from twofactor.models.limit import Limit
from twofactor.models.passkey import Passkey
from twofactor.models.second_factor import ChangedMeanwhile, SecondFactor

__all__ = [
    "AuthenticatorApp",
    "BackupCode",
    "ChangedMeanwhile",
    "Limit",
    "Passkey",
    "SecondFactor",
    "SecurityEvent",
    "TrustedBrowser",
]
