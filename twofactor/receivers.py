"""Receivers of allauth's signals."""

from typing import Any

from twofactor.models import SecondFactor


def unlock_after_password_reset(user: Any, **kwargs: Any) -> None:
    """End the account's delay after a password reset. Otherwise an attacker's wrong codes could keep the owner out."""
    if second_factor := SecondFactor.objects.for_user(user):
        second_factor.unlock_after_password_reset()
