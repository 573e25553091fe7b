"""Every TWOFACTOR_* setting: its default, its bounds, its meaning. Read when asked, so that tests can change them."""

from functools import lru_cache

from django.conf import settings
from django.urls import reverse

from twofactor.crypto import Keyring

# The numbers of docs/security.md that no site should change.
PENDING_SECONDS = 10 * 60  # how long a pending sign-in lives
PENDING_TRIES = 5  # wrong codes that end it
FRESH_SECONDS = 5 * 60  # how long a sign-in stands for a password where there is none
SETUP_SECONDS = 15 * 60  # how long a setup under way lives
DELAY_FROM = 5  # the failure in a row from which the account waits
DELAY_FIRST, DELAY_LONGEST = 30, 60 * 60  # seconds
BUDGET = 100  # failures that lock TOTP ...
BUDGET_SECONDS = 30 * 24 * 60 * 60  # ... when they fall into one such span
BUDGET_AFTER_RESET = 20  # tries that a mailed password reset gives, once in
RESET_SECONDS = 7 * 24 * 60 * 60
SOURCE_RATE = "20/10m/ip"  # wrong codes from one IPv4 address or IPv6 /64, over all accounts
STEP_UP_RATE = "10/30d/key"  # wrong passwords in a row that end a signed-in session
CODES_LOW = 3  # backup codes left that call for a warning
CLOCK_REACH = 10 * 60  # how far setup looks for a phone's clock, in seconds either way
EVENTS_SHOWN = 20
EVENTS_KEPT_AT_LEAST = 90  # days; what somebody may still ask about


def keyring() -> Keyring:
    """TWOFACTOR_KEYS, `kid:base64key,...`: the first seals, all open. ValueError if malformed."""
    return _parsed(settings.TWOFACTOR_KEYS)


def issuer() -> str:
    """TWOFACTOR_ISSUER: the name beside the account in the authenticator app; no colon."""
    return getattr(settings, "TWOFACTOR_ISSUER", "Twofactor")


def adapter() -> str:
    """TWOFACTOR_ADAPTER, the dotted path of a kind of twofactor.adapter.Adapter: what the host says otherwise."""
    return getattr(settings, "TWOFACTOR_ADAPTER", "twofactor.adapter.Adapter")


def drift_window() -> int:
    """TWOFACTOR_DRIFT_WINDOW, 0 or 1: time steps before and after this one whose code is taken."""
    return getattr(settings, "TWOFACTOR_DRIFT_WINDOW", 1)


def required() -> str:
    """TWOFACTOR_REQUIRED, `none`, `staff` or `all`: who must have 2FA on."""
    return getattr(settings, "TWOFACTOR_REQUIRED", "staff")


def grace_days() -> int:
    """TWOFACTOR_GRACE_DAYS: how long after joining whoever must have 2FA may do without."""
    return getattr(settings, "TWOFACTOR_GRACE_DAYS", 0)


def exempt_paths() -> tuple[str, ...]:
    """TWOFACTOR_EXEMPT_PATHS: where whoever must turn 2FA on may go before; prefixes of paths."""
    paths = getattr(settings, "TWOFACTOR_EXEMPT_PATHS", ())
    # Of a string, where the comma of a tuple was forgotten, each letter would be one, "/" among them.
    return (paths,) if isinstance(paths, str) else tuple(paths)


def trust_days() -> int:
    """TWOFACTOR_TRUST_DAYS: how long a browser may be trusted in place of a code; 0 turns that off."""
    return getattr(settings, "TWOFACTOR_TRUST_DAYS", 0)


def site_url() -> str:
    """TWOFACTOR_SITE_URL, `https://example.com` without a path: what links in mails begin with, never a Host header."""
    return getattr(settings, "TWOFACTOR_SITE_URL", "")


def default_site_url() -> str:
    """https and the first of ALLOWED_HOSTS that is one; nothing where there is none. With DEBUG, runserver's."""
    if settings.DEBUG:
        return "http://localhost:8000"
    named = [host for host in settings.ALLOWED_HOSTS if not host.startswith(("*", "."))]
    return f"https://{named[0]}" if named else ""


def settings_path() -> str:
    return reverse("twofactor:settings")


def settings_url() -> str:
    """The address of the settings page for mails."""
    return (site_url() or default_site_url()) + settings_path()


_parsed = lru_cache(maxsize=1)(Keyring.parse)
