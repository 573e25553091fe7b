"""Changes that staff make to the accounts of other users."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q

from accounts import addresses
from accounts.models import User
from twofactor import sessions


def is_taken(email: str, *, user: User) -> bool:
    """Return whether another account than `user` has this address.

    An existing user can take over the address of an unused sign-up. A new user, who is not saved yet, cannot.
    """
    email = email.lower()
    if EmailAddress.objects.filter(email=email, verified=True).exclude(user_id=user.pk).exists():
        return True
    holder = User.objects.filter(email=email).exclude(pk=user.pk).first()
    return holder is not None and not (user.pk and addresses.can_be_removed(holder))


def change_address(user: User, email: str) -> None:
    """Replace the address of this account by a confirmed one, end its sessions, and notify both addresses.

    Delete the old row instead of updating it: confirmation links sent to the old address sign only its primary key.
    Raise Taken or IntegrityError if another account has the address.
    """
    old = user.email
    rows = EmailAddress.objects.filter(Q(primary=True) | Q(email__in=[old, email]), user=user)
    with transaction.atomic():
        addresses.release(email, to=user)
        # An unconfirmed address may belong to a stranger, so it gets no email.
        to = {email, *rows.filter(verified=True).values_list("email", flat=True)}
        rows.delete()
        user.email = email
        user.save(update_fields=["email"])
        addresses.confirm_primary(user)
        sessions.end_all(user)
    for address in to:
        notify_owner(user, "account/email/email_changed", to=address, from_email=old, to_email=email)


def notify_owner(user: User, template: str, *, to: str | None = None, **context: Any) -> None:
    """Email the owner of the account, without the IP address and the browser of the staff member."""
    get_adapter().send_notification_mail(template, user, {**context, "by_staff": True}, to)
