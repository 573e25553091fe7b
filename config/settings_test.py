"""Settings for the tests: the site's settings with a fixed environment, so that no `.env` changes a result.

TEST_POSTGRESQL names the server for tests that need it. With TEST_DATABASE=postgresql the site itself uses it, instead
of SQLite.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from twofactor.tests.postgresql import TEST_ON_POSTGRESQL, TEST_POSTGRESQL

# Each process of a parallel run has its own folder, and so its own SQLite database. On PostgreSQL, the name of the
# database contains the process ID.
TEST_FOLDER = Path(tempfile.mkdtemp(prefix="twofactor-tests-"))
atexit.register(shutil.rmtree, TEST_FOLDER, ignore_errors=True)

# Every variable that config/settings.py reads. `.env` does not override a variable that is set.
os.environ.update(
    DEBUG="false",
    SECRET_KEY="not-a-secret-" + "t" * 50,
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    CSRF_TRUSTED_ORIGINS="",
    SITE_URL="http://testserver",
    USE_HTTPS="false",
    DATABASE_URL=f"{TEST_POSTGRESQL}/postgres" if TEST_ON_POSTGRESQL else f"sqlite:///{TEST_FOLDER}/site.sqlite3",
    EMAIL_URL="memorymail://",
    DEFAULT_FROM_EMAIL="Twofactor <no-reply@testserver>",
    SECURITY_CONTACT="",
    SECURITY_EXPIRES="",
    SENTRY_DSN="",
    SOURCE_URL="",
    TRUSTED_PROXY_COUNT="0",
    TWOFACTOR_KEYS="test:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE=",
    TWOFACTOR_DRIFT_WINDOW="1",
    TWOFACTOR_EVENT_DAYS="365",
    TWOFACTOR_SUPPORT_EMAIL="",
    TWOFACTOR_EXEMPT_PATHS="",
    TWOFACTOR_GRACE_DAYS="0",
    TWOFACTOR_ISSUER="Twofactor",
    TWOFACTOR_NEW_BROWSER_EMAIL="on",
    TWOFACTOR_ORIGINS="https://testserver",
    TWOFACTOR_PASSKEYS="on",
    TWOFACTOR_REQUIRED="staff",
    TWOFACTOR_RP_ID="",
    TWOFACTOR_TRUST_DAYS="0",
)
# Playwright's sync API runs an event loop on the main thread, where Django would refuse to use the ORM.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

from config.settings import *  # noqa: E402, F403 - the environment comes first
from config.settings import DATABASES, STORAGES  # noqa: E402 - the environment comes first

# The site's own hasher takes 25 ms a password. Tests of the hasher itself use the fixture `real_hasher`.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Production's storage needs the manifest that collectstatic writes.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
# WhiteNoise would scan the files of an earlier collectstatic for every test client.
STATIC_ROOT = TEST_FOLDER / "no-static"
# A file, because the live server and its tests write from two threads. In memory they would lock each other out.
DATABASES["default"]["TEST"] = {
    "NAME": f"twofactor_unit_{os.getpid()}" if TEST_ON_POSTGRESQL else str(TEST_FOLDER / "test.sqlite3")
}
