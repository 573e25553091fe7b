"""The TWOFACTOR_* settings with their defaults, and fixed limits. Settings are read at each call: tests change them."""

from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from twofactor.crypto import Keyring

# Fixed limits, explained in docs/security.md.
PENDING_SECONDS = 10 * 60  # until a pending sign-in expires
PENDING_TRIES = 5  # wrong codes that end a pending sign-in or a setup
FRESH_SECONDS = 5 * 60  # how long a sign-in replaces the password of a user who has none
SETUP_SECONDS = 15 * 60  # until a setup in progress expires
DELAY_FROM = 5  # failures in a row after which codes are delayed
DELAY_FIRST, DELAY_LONGEST = 30, 60 * 60  # seconds
BUDGET = 100  # failures within BUDGET_SECONDS that lock codes from the app
BUDGET_SECONDS = 30 * 24 * 60 * 60
BUDGET_AFTER_RESET = 20  # tries that a password reset by email grants, once within RESET_SECONDS
RESET_SECONDS = 7 * 24 * 60 * 60
SIGN_IN_LIMIT_SECONDS = 30 * 60  # how long the tries of a pending sign-in are kept; longer than PENDING_SECONDS
SOURCE_RATE = (20, 10 * 60)  # wrong codes, and seconds, for one IPv4 address or IPv6 /64, over all accounts
STEP_UP_RATE = (10, 30 * 24 * 60 * 60)  # wrong passwords in a row, and seconds, until a session ends
PASSKEYS_AT_MOST = 20  # of one user
CEREMONY_SECONDS = 5 * 60  # until a challenge for a passkey expires
CODES_LOW = 3  # backup codes left at which a warning is shown
CLOCK_REACH = 10 * 60  # seconds ahead or behind that setup recognizes as a wrong clock
EVENTS_SHOWN = 5  # on the settings page
EVENTS_ON_A_PAGE = 20  # of the activity
NEW_BROWSER_EMAILS = 5  # a day to one user
EVENTS_KEPT_AT_LEAST = 90  # days, for questions of users
EVENTS_KEPT_AT_MOST = 36_500  # days. Far more would be a date before the year 1.


def keyring() -> Keyring:
    """TWOFACTOR_KEYS, `kid:base64key,...`: the first key seals, all keys open. Raise ValueError if malformed."""
    return _parsed(settings.TWOFACTOR_KEYS)


def issuer() -> str:
    """TWOFACTOR_ISSUER: the site's name in the authenticator app, without a colon."""
    return getattr(settings, "TWOFACTOR_ISSUER", "Twofactor")


def adapter() -> str:
    """TWOFACTOR_ADAPTER: the dotted path of a subclass of twofactor.adapter.Adapter."""
    return getattr(settings, "TWOFACTOR_ADAPTER", "twofactor.adapter.Adapter")


def drift_window() -> int:
    """TWOFACTOR_DRIFT_WINDOW, 0 or 1: how many time steps before and after the current one are accepted."""
    return getattr(settings, "TWOFACTOR_DRIFT_WINDOW", 1)


def required() -> str:
    """TWOFACTOR_REQUIRED, `none`, `staff` or `all`: who is required to have 2FA on."""
    return getattr(settings, "TWOFACTOR_REQUIRED", "staff")


def grace_days() -> int:
    """TWOFACTOR_GRACE_DAYS: days after joining until 2FA is required."""
    return getattr(settings, "TWOFACTOR_GRACE_DAYS", 0)


def exempt_paths() -> tuple[str, ...]:
    """TWOFACTOR_EXEMPT_PATHS: prefixes of paths that users may visit before they turn on required 2FA."""
    paths = getattr(settings, "TWOFACTOR_EXEMPT_PATHS", ())
    # ("/path/") without a comma is a string. As a tuple of its letters it would exempt "/", which is every path.
    return (paths,) if isinstance(paths, str) else tuple(paths)


def trust_days() -> int:
    """TWOFACTOR_TRUST_DAYS: days for which a trusted browser replaces the code; 0 turns trusted browsers off."""
    return getattr(settings, "TWOFACTOR_TRUST_DAYS", 0)


def new_browser_email() -> bool:
    """TWOFACTOR_NEW_BROWSER_EMAIL: whether a sign-in from a new browser is emailed. It is an event in any case."""
    return getattr(settings, "TWOFACTOR_NEW_BROWSER_EMAIL", True)


def event_days() -> int:
    """TWOFACTOR_EVENT_DAYS: days for which `manage.py twofactor prune` keeps security events."""
    return getattr(settings, "TWOFACTOR_EVENT_DAYS", 365)


def site_url() -> str:
    """TWOFACTOR_SITE_URL, `https://example.com` without a path: the start of links in emails."""
    return getattr(settings, "TWOFACTOR_SITE_URL", "")


def default_site_url() -> str:
    """Return the URL of the first of ALLOWED_HOSTS without a wildcard, "" if there is none; runserver's with DEBUG."""
    if settings.DEBUG:
        return "http://localhost:8000"
    hosts = [host for host in settings.ALLOWED_HOSTS if not host.startswith(("*", "."))]
    return f"https://{hosts[0]}" if hosts else ""


def passkeys() -> bool:
    """TWOFACTOR_PASSKEYS: whether users may add and use passkeys."""
    return getattr(settings, "TWOFACTOR_PASSKEYS", True)


def rp_id() -> str:
    """TWOFACTOR_RP_ID: the domain that passkeys belong to, by default the host of the site's URL.

    Every passkey becomes unusable if it changes.
    """
    return getattr(settings, "TWOFACTOR_RP_ID", "") or urlsplit(site_url() or default_site_url()).hostname or ""


def origins() -> tuple[str, ...]:
    """TWOFACTOR_ORIGINS, `https://example.com` each: where passkeys may be used, by default at the site's URL."""
    origins = getattr(settings, "TWOFACTOR_ORIGINS", ()) or site_url() or default_site_url() or ()
    return (origins,) if isinstance(origins, str) else tuple(origins)


def support_email() -> str:
    """TWOFACTOR_SUPPORT_EMAIL: the address for questions of users; "" for that of DEFAULT_FROM_EMAIL."""
    return getattr(settings, "TWOFACTOR_SUPPORT_EMAIL", "")


def settings_path() -> str:
    return reverse("twofactor:settings")


def settings_url() -> str:
    """Return the absolute URL of the settings page, for emails."""
    return _absolute(settings_path())


def not_me_url() -> str:
    """Return the absolute URL of the page "This wasn't me", for emails."""
    return _absolute(reverse("twofactor:not_me"))


def _absolute(path: str) -> str:
    return (site_url() or default_site_url()) + path


_parsed = lru_cache(maxsize=1)(Keyring.parse)
