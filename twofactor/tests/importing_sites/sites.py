"""What the sites have in common. Runs in environments that have Django but none of this project's packages.

`python -m twofactor.tests.importing_sites.sites SITE DATABASE` creates the users of a site in this SQLite database.
It prints for each name the key, the secret, the code entered last, the unused and used codes, and the passkey.
"""

import json
import sys
import time
from datetime import timedelta
from importlib import import_module

import django
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment
from django.utils import timezone

from twofactor.tests.constants import PASSWORD
from twofactor.tests.rfc6238 import code_at

HOST, OTHER_HOST = "testserver", "www.testserver"
ORIGIN = f"https://{HOST}"
CONTRIB = ["auth", "contenttypes", "messages", "sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
CONTEXT_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


class QuickHasher(PBKDF2PasswordHasher):
    """Django's own, with few iterations, because a test enters many passwords."""

    iterations = 1000


def set_up(database, *, apps, middleware=(), base="", **more):
    """Configure a site on this SQLite database."""
    templates = ("django.template.loaders.locmem.Loader", {"base.html": base} if base else {})
    options = {
        "loaders": [templates, "django.template.loaders.app_directories.Loader"],
        "context_processors": CONTEXT_PROCESSORS,
    }
    settings.configure(
        SECRET_KEY="not-a-secret-" + "t" * 50,
        ALLOWED_HOSTS=[HOST, OTHER_HOST],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in CONTRIB), *apps],
        MIDDLEWARE=[*MIDDLEWARE, *middleware],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": options}],
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


def turn_on_long_ago_and_now(turn_on, use_up, model):
    """Ada turned 2FA on yesterday and has used two codes. Bob turned it on just now."""
    ada = turn_on("ada")
    ada["used"], ada["unused"] = [use_up("ada", code) for code in ada["unused"][:2]], ada["unused"][2:]
    model.objects.update(created_at=yesterday())
    return {"ada": ada, "bob": turn_on("bob")}


def code_now(secret):
    return code_at(secret, time.time())


def give_password(path, fields, *, host=HOST):
    """Post these fields to the sign-in page. Return the browser."""
    browser = Client(SERVER_NAME=host)
    browser.post(path, fields)
    return browser


def is_signed_in(browser):
    return "_auth_user_id" in browser.session


def yesterday():
    return timezone.now() - timedelta(days=1)


if __name__ == "__main__":
    name, database, *arguments = sys.argv[1:]
    site = import_module(f"twofactor.tests.importing_sites.{name}")
    set_up(database, **site.SETTINGS)
    json.dump(site.create_users(*arguments), sys.stdout, default=str)
