"""Receivers of allauth's signals: events of the account, and the end of a delay after a password reset."""

from allauth.account import signals
from allauth.account.models import EmailAddress
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from twofactor import events
from twofactor.models import SecondFactor, SecurityEvent

Kind = SecurityEvent.Kind


def connect() -> None:
    signals.user_logged_in.connect(record_sign_in)
    signals.password_changed.connect(record_password_change)
    signals.password_set.connect(record_password_change)
    signals.password_reset.connect(record_password_reset)
    signals.password_reset.connect(unlock_after_password_reset)
    signals.email_added.connect(record_added_email)
    signals.email_confirmed.connect(record_confirmed_email)
    signals.email_removed.connect(record_removed_email)
    signals.email_changed.connect(record_changed_email)


def unlock_after_password_reset(user: AbstractBaseUser, **kwargs: object) -> None:
    """End the account's delay after a password reset. Otherwise an attacker's wrong codes could keep the owner out."""
    if second_factor := SecondFactor.objects.for_user(user):
        second_factor.unlock_after_password_reset()


def record_sign_in(request: HttpRequest | None, user: AbstractBaseUser, **kwargs: object) -> None:
    events.signed_in(request, user)


def record_password_change(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    events.account_changed(Kind.PASSWORD_CHANGED, user, request)


def record_password_reset(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    events.account_changed(Kind.PASSWORD_RESET, user, request)


def record_added_email(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    events.account_changed(Kind.EMAIL_ADDED, user, request)


def record_confirmed_email(request: HttpRequest, email_address: EmailAddress, **kwargs: object) -> None:
    """Record a confirmed address, but not the first one of an account, which completes the sign-up.

    Staff can confirm an address in allauth's admin. Their IP address and browser are not shown to the owner.
    """
    user = email_address.user
    if EmailAddress.objects.filter(user_id=user.pk).exclude(pk=email_address.pk).exists():
        signed_in = getattr(request, "user", None)
        by_owner = signed_in is None or signed_in.pk in (None, user.pk)
        events.account_changed(Kind.EMAIL_CONFIRMED, user, request, by_owner=by_owner)


def record_removed_email(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    events.account_changed(Kind.EMAIL_REMOVED, user, request)


def record_changed_email(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    events.account_changed(Kind.EMAIL_CHANGED, user, request)
