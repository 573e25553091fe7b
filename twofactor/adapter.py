"""Where a host says otherwise: the name of the site and of an account, and who must have 2FA."""

from functools import lru_cache
from typing import Any

from allauth.account.utils import user_email
from django.http import HttpRequest
from django.utils.module_loading import import_string

from twofactor import conf


class Adapter:
    """What the app asks its host. One object serves all requests of a process: it keeps nothing between two."""

    def issuer(self, request: HttpRequest | None = None) -> str:
        """The site's name: in titles, in mails and, without a colon, beside the account in the authenticator app.

        `request` is None where a command is the cause.
        """
        return conf.issuer()

    def label(self, user: Any) -> str:
        """The account's name in the authenticator app: its address, or else what its owner signs in with."""
        return user_email(user) or user.get_username()

    def is_required(self, user: Any) -> bool:
        """True if this user must have 2FA on. Asked at each request of a user who has not, so let it be quick.

        What it raises is not caught: then no page is served to them, and nobody turns 2FA off.
        """
        return conf.required() == "all" or (conf.required() == "staff" and getattr(user, "is_staff", False))


def current() -> Adapter:
    """Return the one that TWOFACTOR_ADAPTER names."""
    return _made(conf.adapter())


@lru_cache(maxsize=1)
def _made(path: str) -> Adapter:
    return import_string(path)()
