"""The password, codes and paths that tests use. It imports no package."""

import re

PASSWORD = "umbel-4-Quarry-thimble"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = 2_000_000_000
HTMX = {"HX-Request": "true"}  # the header of htmx
UNKNOWN_BACKUP_CODE = "0000-0000-0000-0000"

LOGIN = "/accounts/login/"
LOGOUT = "/accounts/logout/"
EMAIL = "/accounts/email/"
CHANGE_PASSWORD = "/accounts/password/change/"
SETTINGS = "/accounts/2fa/"
VERIFY_LOGIN = f"{SETTINGS}verify-login/"
CANCEL_LOGIN = f"{SETTINGS}cancel-login/"
LOST = f"{SETTINGS}lost/"
SETUP = f"{SETTINGS}setup/"
VERIFY_SETUP = f"{SETTINGS}verify-setup/"
CANCEL_SETUP = f"{SETTINGS}cancel-setup/"
REGENERATE = f"{SETTINGS}regenerate-backup-codes/"
DISABLE = f"{SETTINGS}disable/"
DONE = f"{SETTINGS}done/"
ACTIVITY = f"{SETTINGS}activity/"
NOT_ME = f"{SETTINGS}not-me/"
STATUS = f"{SETTINGS}status/"
CONFIRM = f"{SETTINGS}confirm/"
REAUTHENTICATE = f"{SETTINGS}reauthenticate/"
STEP_UP_PAGES = [SETUP, DISABLE, REGENERATE, REAUTHENTICATE]  # ask for the password and a code
CODE_PAGES = [*STEP_UP_PAGES, CONFIRM]

BACKUP_CODE = re.compile(r"(?<![\w-])[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}(?![\w-])")
