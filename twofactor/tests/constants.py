"""The password and the paths that tests use. This module has no imports of packages, so every process can import it."""

import re

PASSWORD = "umbel-4-Quarry-thimble"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

LOGIN = "/accounts/login/"
LOGOUT = "/accounts/logout/"
EMAIL = "/accounts/email/"
CHANGE_PASSWORD = "/accounts/password/change/"
SETTINGS = "/accounts/2fa/"
VERIFY_LOGIN = f"{SETTINGS}verify-login/"
CANCEL_LOGIN = f"{SETTINGS}cancel-login/"
SETUP = f"{SETTINGS}setup/"
VERIFY_SETUP = f"{SETTINGS}verify-setup/"
CANCEL_SETUP = f"{SETTINGS}cancel-setup/"
REGENERATE = f"{SETTINGS}regenerate-backup-codes/"
DISABLE = f"{SETTINGS}disable/"
STATUS = f"{SETTINGS}status/"
CONFIRM = f"{SETTINGS}confirm/"
REAUTHENTICATE = f"{SETTINGS}reauthenticate/"

BACKUP_CODE = re.compile(r"(?<![\w-])[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}(?![\w-])")
