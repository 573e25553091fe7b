"""What a host can customize: the name of the site and of an account, and who is required to have 2FA."""

from functools import lru_cache
from typing import TYPE_CHECKING

from allauth.account.utils import user_email
from django.http import HttpRequest
from django.utils.module_loading import import_string

from twofactor import conf

if TYPE_CHECKING:
    from django.contrib.auth.models import _User


class Adapter:
    """Override these methods, and name the class in TWOFACTOR_ADAPTER. One object serves all requests of a process."""

    def issuer(self, request: HttpRequest | None = None) -> str:
        """Return the site's name. It is in titles, emails and (without its colons) in the authenticator app.

        `request` is None in a management command.
        """
        return conf.issuer()

    def label(self, user: "_User") -> str:
        """Return the account's name in the authenticator app: the email address, or else the username."""
        address: str | None = user_email(user)
        return address or user.get_username()

    def is_required(self, user: "_User") -> bool:
        """Return whether this user is required to have 2FA.

        It is called in each request of a user without 2FA, so it must be fast. Exceptions are not caught:
        while it raises, users without 2FA get an error, and nobody can turn 2FA off.
        """
        return conf.required() == "all" or (conf.required() == "staff" and getattr(user, "is_staff", False))


def current() -> Adapter:
    """Return the adapter that TWOFACTOR_ADAPTER names."""
    return _instance(conf.adapter())


@lru_cache(maxsize=1)
def _instance(path: str) -> Adapter:
    found: type[Adapter] = import_string(path)
    return found()
