"""What a host can customize: names, the address for questions, who is required to have 2FA, and recovery."""

import re
from email.utils import parseaddr
from functools import lru_cache
from typing import TYPE_CHECKING

from allauth.account.utils import user_email
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

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

    def greeting_name(self, user: AbstractBaseUser) -> str:
        """Return the name for "Hello Ada," in emails, or "" for "Hello,". By default it is the user's short name.

        A name with an email address or a link is omitted: a stranger may have typed it at a sign-up that the owner of
        the address then confirmed. Only confirmed addresses of this user get an email with the name.
        """
        name = user.get_short_name() if hasattr(user, "get_short_name") else ""
        return "" if re.search(r"[@/]|\w\.\w{2}", name) else name

    def support_email(self) -> str:
        """Return the address for questions of users, or "" if there is none."""
        return conf.support_email() or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]

    def is_required(self, user: "_User") -> bool:
        """Return whether this user is required to have 2FA.

        It is called in each request of a user without 2FA, so it must be fast. Exceptions are not caught:
        while it raises, users without 2FA get an error, and nobody can turn 2FA off.
        """
        return conf.required() == "all" or (conf.required() == "staff" and getattr(user, "is_staff", False))

    def recovery_help(self, request: HttpRequest) -> str:
        """Return what users can do who have neither phone nor backup codes, as plain text.

        A blank line begins a new paragraph, and URLs become links. The page adds the address of `support_email`.
        """
        paragraphs = (
            _(
                "Look for your backup codes first. You saved ten of them when you turned on two-factor "
                "authentication, maybe in a file, in your password manager, or on paper. Any unused one signs you in."
            ),
            _("Do you have the same authenticator app on a tablet or an old phone? Its codes work too."),
            _(
                "If you have none of these, email us from your account's email address. We'll check that it's "
                "really you, then turn off two-factor authentication, so you can sign in with only your password. "
                "We'll never ask for your password."
            ),
        )
        return "\n\n".join(paragraphs)


def current() -> Adapter:
    """Return the adapter that TWOFACTOR_ADAPTER names."""
    return _instance(conf.adapter())


@lru_cache(maxsize=1)
def _instance(path: str) -> Adapter:
    found: type[Adapter] = import_string(path)
    return found()
