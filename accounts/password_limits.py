"""Limits of wrong passwords for an account. A browser that has signed in to it has a limit of its own.

All other browsers share one limit for each account. Without that, an attacker who types a few wrong passwords every
minute would lock the owner out.
"""

from accounts.models import User
from twofactor.limits import Tries
from twofactor.models.limit import limit_key

RATE = (20, 5 * 60)  # wrong passwords, and seconds


def of_account(user: User, browser: str) -> Tries:
    """Return the tries of this account in a known browser; an empty `browser` means all unknown browsers."""
    return Tries(limit_key("passwords_account", f"{user.pk}:{browser}"), *RATE)


def of_address(email: str) -> Tries:
    """Return the tries of an address without an account."""
    return Tries(limit_key("passwords_address", email.lower()), *RATE)
