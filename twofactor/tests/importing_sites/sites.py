"""What the sites have in common. Runs in environments that have Django but none of this project's packages."""

import json
import sys
import time
from datetime import timedelta

import django
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment
from django.utils import timezone

from twofactor.tests.constants import PASSWORD
from twofactor.tests.rfc6238 import code_at

CONTRIB = ["auth", "contenttypes", "messages", "sessions"]


class QuickHasher(PBKDF2PasswordHasher):
    """Django's own, with few iterations, because a test enters many passwords."""

    iterations = 1000


def set_up(database, *, apps, middleware=(), base="", **more):
    """Configure a site on this SQLite database."""
    settings.configure(
        SECRET_KEY="not-a-secret-" + "t" * 50,
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in CONTRIB), *apps],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            *middleware,
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"base.html": base} if base else {}),
                        "django.template.loaders.app_directories.Loader",
                    ],
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ],
                },
            }
        ],
        PASSWORD_HASHERS=["twofactor.tests.importing_sites.sites.QuickHasher"],
        EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
        STATIC_URL="static/",
        USE_TZ=True,
        **more,
    )
    django.setup()
    setup_test_environment()  # responses then have `context`


def migrate(*target):
    call_command("migrate", *target, run_syncdb=not target, verbosity=0)


def make_user(name):
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user(name, f"{name}@example.com", PASSWORD)


def code_now(secret):
    return code_at(secret, time.time())


def give_password(path, fields):
    """Post these fields to the sign-in page. Return the browser."""
    browser = Client()
    browser.post(path, fields)
    return browser


def is_signed_in(browser):
    return "_auth_user_id" in browser.session


def yesterday():
    return timezone.now() - timedelta(days=1)


def print_users(users):
    """Print for each name the key, the secret, the code entered last, and the unused and used codes."""
    json.dump(users, sys.stdout, default=str)
