"""Receivers of allauth's signals."""

from django.contrib.auth.base_user import AbstractBaseUser

from twofactor.models import SecondFactor


def unlock_after_password_reset(user: AbstractBaseUser, **kwargs: object) -> None:
    """End the account's delay after a password reset. Otherwise an attacker's wrong codes could keep the owner out."""
    if second_factor := SecondFactor.objects.for_user(user):
        second_factor.unlock_after_password_reset()
