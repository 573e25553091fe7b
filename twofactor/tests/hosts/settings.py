"""HOST_USER names the user model, HOST_EXTRAS the optional parts: sessions, login-code, social, mfa, naive."""

import os

from twofactor.tests import settings as site
from twofactor.tests.settings import (  # noqa: F401
    ACCOUNT_ADAPTER,
    AUTHENTICATION_BACKENDS,
    DEFAULT_AUTO_FIELD,
    STATIC_URL,
    TEMPLATES,
    TWOFACTOR_KEYS,
)

EXTRAS = os.environ["HOST_EXTRAS"].split()
AUTH_USER_MODEL = os.environ["HOST_USER"]
BY_NAME = AUTH_USER_MODEL in ("auth.User", "hosts.NamedUser")

SECRET_KEY = "a-host-in-the-tests" * 3
ALLOWED_HOSTS = ["host.example"]
ROOT_URLCONF = "twofactor.tests.hosts.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "twofactor.tests.importing_sites.sites.QuickHasher",
]
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # required by Django 6.1
USE_TZ = "naive" not in EXTRAS
TIME_ZONE = "Asia/Tokyo"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "twofactor.tests.hosts",
    "allauth",
    "allauth.account",
    *(["allauth.usersessions"] if "sessions" in EXTRAS else []),
    *(["allauth.socialaccount", "allauth.socialaccount.providers.dummy"] if "social" in EXTRAS else []),
    *(["allauth.mfa"] if "mfa" in EXTRAS else []),
    "twofactor",
]
ABSENT = {"Security", "Locale"} | ({"UserSessions"} if "sessions" not in EXTRAS else set())
MIDDLEWARE = [name for name in site.MIDDLEWARE if name.split(".")[-1].removesuffix("Middleware") not in ABSENT]
LOGIN_REDIRECT_URL = "/accounts/2fa/"
ACCOUNT_EMAIL_VERIFICATION = "none" if BY_NAME else "mandatory"
ACCOUNT_LOGIN_METHODS = {"username"} if BY_NAME else {"email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"] if BY_NAME else ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = "username" if BY_NAME else None
ACCOUNT_LOGIN_BY_CODE_ENABLED = "login-code" in EXTRAS
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
