"""Changes that staff make to an account of another user."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q

from accounts import addresses
from accounts.models import User
from twofactor import sessions


def is_taken(email: str, *, user: User) -> bool:
    """Return whether another account confirmed this address, or signed up with it and is in use.

    A new user (`user` is not saved yet) cannot take the address of a sign-up that nobody used.
    """
    email = email.lower()
    if EmailAddress.objects.filter(email=email, verified=True).exclude(user_id=user.pk).exists():
        return True
    holder = User.objects.filter(email=email).exclude(pk=user.pk).first()
    return holder is not None and not (user.pk and addresses.can_be_removed(holder))


def change_address(user: User, email: str) -> None:
    """Give this account another address, confirmed, and end its sessions. The old and the new address are told.

    The old row is deleted and never rewritten: a link that was mailed to the old address signs only the row's key.
    Raise Taken or IntegrityError if another account has the address.
    """
    old = user.email
    rows = EmailAddress.objects.filter(Q(primary=True) | Q(email__in=[old, email]), user=user)
    with transaction.atomic():
        addresses.release(email, to=user)
        # An unconfirmed address may be a stranger's, who is told nothing.
        to = {email, *rows.filter(verified=True).values_list("email", flat=True)}
        rows.delete()
        user.email = email
        user.save(update_fields=["email"])
        addresses.confirm_primary(user)
        sessions.end_all(user)
    for address in to:
        notify_owner(user, "account/email/email_changed", to=address, from_email=old, to_email=email)


def notify_owner(user: User, template: str, *, to: str | None = None, **context: Any) -> None:
    """Email the owner. The email names neither the staff member's IP address nor their browser."""
    get_adapter().send_notification_mail(template, user, {**context, "by_staff": True}, to)
