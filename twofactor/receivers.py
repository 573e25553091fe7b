"""Receivers of allauth's signals."""

from typing import Any

from twofactor.models import Authenticator


def unlock_after_password_reset(user: Any, **kwargs: Any) -> None:
    """End the account's delay after a password reset. Otherwise an attacker's wrong codes could keep the owner out."""
    if authenticator := Authenticator.objects.for_user(user):
        authenticator.unlock_after_password_reset()
