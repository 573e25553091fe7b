"""The site's settings, read from the environment or from a `.env` beside manage.py.

With DEBUG off, the site does not start without SECRET_KEY, ALLOWED_HOSTS and TWOFACTOR_KEYS.
"""

from email.utils import formataddr, parseaddr
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)


def required(name: str, in_debug: str) -> str:
    """Return this variable of the environment, or `in_debug` if it is missing and DEBUG is on."""
    value = env.str(name, default=in_debug if DEBUG else "")
    if not value.strip(" ,"):
        raise ImproperlyConfigured(
            f"{name} is missing. For development, set DEBUG=true, or start the site with python3 dev.py run. "
            "In production, the site does not start without it: README.md has all settings."
        )
    return value


# --- The site ---------------------------------------------------------------------------------

SECRET_KEY = required("SECRET_KEY", in_debug="only-for-debugging-" + "0" * 40)
ALLOWED_HOSTS = required("ALLOWED_HOSTS", in_debug="localhost,127.0.0.1,[::1]").replace(" ", "").strip(",").split(",")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
USE_HTTPS = env.bool("USE_HTTPS", default=not DEBUG)
# Links in emails start with this and never use the Host header, which the client chooses.
SITE_URL = env.str(
    "SITE_URL",
    default=f"{'https' if USE_HTTPS else 'http'}://{ALLOWED_HOSTS[0].lstrip('.')}" + (":8000" if DEBUG else ""),
).rstrip("/")
# The pages of the site link to it, and to the documentation there.
SOURCE_URL = env.str("SOURCE_URL", default="")

# --- The second factor ------------------------------------------------------------------------

# 32 zero bytes. Anyone can read this key here, so it is for debugging only.
_debug_key = "debug:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
TWOFACTOR_KEYS = required("TWOFACTOR_KEYS", in_debug=_debug_key)
if DEBUG and _debug_key not in TWOFACTOR_KEYS:
    # As the last key it only decrypts what was encrypted before there was a .env.
    TWOFACTOR_KEYS += f",{_debug_key}"
TWOFACTOR_ISSUER = " ".join(env.str("TWOFACTOR_ISSUER", default="Twofactor").split())
TWOFACTOR_DRIFT_WINDOW = env.int("TWOFACTOR_DRIFT_WINDOW", default=1)
TWOFACTOR_REQUIRED = env.str("TWOFACTOR_REQUIRED", default="staff")
TWOFACTOR_GRACE_DAYS = env.int("TWOFACTOR_GRACE_DAYS", default=0)
TWOFACTOR_EXEMPT_PATHS = env.list("TWOFACTOR_EXEMPT_PATHS", default=[])
TWOFACTOR_TRUST_DAYS = env.int("TWOFACTOR_TRUST_DAYS", default=0)
TWOFACTOR_NEW_BROWSER_EMAIL = env.bool("TWOFACTOR_NEW_BROWSER_EMAIL", default=True)
TWOFACTOR_EVENT_DAYS = env.int("TWOFACTOR_EVENT_DAYS", default=365)
TWOFACTOR_PASSKEYS = env.bool("TWOFACTOR_PASSKEYS", default=True)
TWOFACTOR_RP_ID = env.str("TWOFACTOR_RP_ID", default="")
TWOFACTOR_ORIGINS = env.list("TWOFACTOR_ORIGINS", default=[])
TWOFACTOR_SITE_URL = SITE_URL
TWOFACTOR_SUPPORT_EMAIL = env.str("TWOFACTOR_SUPPORT_EMAIL", default="")

# --- Apps and middleware ----------------------------------------------------------------------

INSTALLED_APPS = [
    "twofactor",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "accounts",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "config",
]

MIDDLEWARE = [
    "config.middleware.request_id",
    "config.middleware.security_headers",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.without_session",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.refuse_nul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.read_body",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "config.middleware.end_old_sessions",
    "config.middleware.record_activity",
    "twofactor.htmx.HtmxRedirectMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "twofactor.middleware.TwofactorMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
CSRF_FAILURE_VIEW = "config.error_pages.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "twofactor.htmx.panel",
                "config.context_processors.site",
            ],
        },
    },
]

# --- Database, cache, sessions, email ---------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets others read during a write. IMMEDIATE takes the write lock when a transaction begins, and waits for it up
    # to `timeout` seconds. A transaction that reads first and takes the lock later would fail at once if another one
    # has written since, or is writing.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        # The page cache of one connection, in KiB. Each thread has a connection.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;",
    }
    # Opening a connection takes longer than most queries, and closing the last one writes back the whole WAL.
    _database["CONN_MAX_AGE"] = None
else:
    # One connection per thread would be 64 for two processes, of the 100 that PostgreSQL allows. A request waits five
    # seconds for a connection. The pause between two attempts to connect doubles until `reconnect_timeout`. With its
    # default of five minutes, the site noticed only 13 seconds after an outage of 50 that the database was back.
    _pool = {"min_size": 1, "max_size": 8, "timeout": 5, "reconnect_timeout": 5}
    _database["OPTIONS"] = {"pool": _pool, **_database.get("OPTIONS", {})}
    _database["CONN_HEALTH_CHECKS"] = True

# Only allauth's limits on rare forms use the cache. `migrate` creates the table. MAX_ENTRIES is 300 by default, so an
# attacker could evict the limits of others.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "django_cache",
        "KEY_FUNCTION": "config.cache.hashed_key",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

SESSION_ENGINE = "config.sessions"
MESSAGE_STORAGE = "config.messages.CookieStorage"
SESSION_COOKIE_AGE = 14 * 24 * 60 * 60

_email = env.email_url("EMAIL_URL", default="consolemail://")
_own_backends = {
    "django.core.mail.backends.console.EmailBackend": "config.mail.TerminalBackend",
    "django.core.mail.backends.smtp.EmailBackend": "config.mail.BackgroundBackend",
}
vars().update(_email | {"EMAIL_BACKEND": _own_backends.get(_email["EMAIL_BACKEND"], _email["EMAIL_BACKEND"])})
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", default=formataddr((TWOFACTOR_ISSUER, f"no-reply@{urlsplit(SITE_URL).hostname}"))
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# For security.txt: an email address or a URL, and the date until which it is right.
SECURITY_CONTACT = env.str("SECURITY_CONTACT", default="") or parseaddr(DEFAULT_FROM_EMAIL)[1]
SECURITY_EXPIRES = env.str("SECURITY_EXPIRES", default="")

# --- Accounts: Django's and allauth's ---------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
PASSWORD_RESET_TIMEOUT = 60 * 60

PASSWORD_HASHERS = [
    "accounts.hashers.Argon2idHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "accounts.validators.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "full_name")},
    },
    {"NAME": "accounts.validators.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "accounts.validators.MaximumLengthValidator"},
    {"NAME": "accounts.validators.CommonPasswordValidator"},
]

TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.forms.SignupForm",
    "add_email": "accounts.forms.AddEmailForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "set_password": "accounts.forms.SetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
# Longer than twofactor.conf.PENDING_SECONDS, so that the app ends a slow sign-in first. It says why; allauth does not.
ACCOUNT_LOGIN_TIMEOUT = 30 * 60
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# The adapter limits emails, so two of allauth's limits are off. `confirm_email` would drop emails without a message.
# `reset_password` per address (the `/key` part) would reject the owner's request after those of a stranger.
# Wrong passwords of a signed-in user are counted by session: allauth counts them by user, so a stolen session could
# lock the owner out.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "reset_password": "20/m/ip",
    "confirm_email": None,
    "change_password": None,
    "reauthenticate": None,
}

# --- Language, time, files --------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = True
# Each name is in its own language, for users who read no other.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt-br", "Português (Brasil)"),
    ("ja", "日本語"),
    ("zh-hans", "简体中文"),
    ("ar", "العربية"),
]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
TIME_ZONE = "UTC"
USE_TZ = True

# favicon.ico and robots.txt, which WhiteNoise serves from the root of the site.
WHITENOISE_ROOT = BASE_DIR / "public"
WHITENOISE_ALLOW_ALL_ORIGINS = False
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- The web ----------------------------------------------------------------------------------

# docs/security.md explains the limits. Hashing a password of one megabyte takes half a second.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
if USE_HTTPS:
    # Browsers reject a cookie with this prefix from a subdomain or over HTTP.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    LANGUAGE_COOKIE_NAME = "__Host-language"
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    # HSTS preloading affects the whole domain for months, so the owner of the domain has to decide it.
    SILENCED_SYSTEM_CHECKS = ["security.W021"]
    if TRUSTED_PROXY_COUNT > 0:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SENTRY_DSN = env.str("SENTRY_DSN", default="")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "config.logs.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line" if DEBUG else "json"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        # Without this, Django's own handler logs each message again.
        "django": {"level": "WARNING", "handlers": []},
        "accounts": {"level": "INFO"},
        "twofactor": {"level": "INFO"},
        "django.server": {"level": "INFO", "handlers": ["console"], "propagate": False},
    },
}
