"""HOST_USER names the user model, HOST_EXTRAS the optional parts: sessions, login-code, social, mfa, naive."""

import os

EXTRAS = os.environ["HOST_EXTRAS"].split()
AUTH_USER_MODEL = os.environ["HOST_USER"]
BY_NAME = AUTH_USER_MODEL in ("auth.User", "hosts.NamedUser")

SECRET_KEY = "a-host-in-the-tests" * 3
ALLOWED_HOSTS = ["host.example"]
ROOT_URLCONF = "twofactor.tests.hosts.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "twofactor.tests.importing_sites.sites.QuickHasher",
]
STATIC_URL = "static/"
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
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    *(["allauth.usersessions.middleware.UserSessionsMiddleware"] if "sessions" in EXTRAS else []),
    "twofactor.middleware.TwofactorMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_REDIRECT_URL = "/accounts/2fa/"
ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none" if BY_NAME else "mandatory"
ACCOUNT_LOGIN_METHODS = {"username"} if BY_NAME else {"email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"] if BY_NAME else ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = "username" if BY_NAME else None
ACCOUNT_LOGIN_BY_CODE_ENABLED = "login-code" in EXTRAS
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SILENCED_SYSTEM_CHECKS = ["fields.E305"] if "mfa" in EXTRAS else []
TWOFACTOR_KEYS = "host:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
