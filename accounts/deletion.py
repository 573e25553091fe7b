"""Deleting an account, by its owner or by staff. The last active superuser is kept."""

import logging
from collections.abc import Iterable

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from twofactor import sessions
from twofactor.events import log
from twofactor.models import ChangedMeanwhile, SecondFactor

logger = logging.getLogger("accounts")


class LastSuperuser(Exception):
    """Nothing was deleted, because no active superuser would remain."""


def leaves_no_superuser(deleted: Iterable[int], *, lock: bool = False) -> bool:
    """Return whether no active superuser remains beside these users. Only with `lock` is that certain."""
    superusers = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    if lock:
        superusers = superusers.select_for_update()
    found = {user.pk for user in superusers}
    return bool(found) and not found - {*deleted}


def keep_a_superuser(deleted: Iterable[int]) -> None:
    """Raise LastSuperuser if none remains beside these users. Call it in the transaction of the deletion.

    It locks all superusers, so two of them who delete themselves or each other wait for each other. The fixed order
    prevents a deadlock.
    """
    if leaves_no_superuser(deleted, lock=True):
        raise LastSuperuser


@transaction.atomic
def delete(user: User, second_factor: SecondFactor | None) -> bool:
    """Delete this account with all its rows and sessions. Return False if it was deleted already.

    Email its confirmed addresses after the commit. Raise LastSuperuser, or ChangedMeanwhile if the password or 2FA
    has changed since `user` and `second_factor` were read: what the owner proved is no longer valid.

    The rows are locked in the order of other changes, to avoid deadlocks: addresses, second factor, user, sessions.
    """
    emails = _lock_addresses(user)
    if not User.objects.filter(pk=user.pk).exists():
        return False
    if second_factor:
        second_factor.turn_off()
    keep_a_superuser([user.pk])
    row = _lock(user)
    sessions.end_all(user)
    _notify(user, emails)
    _remove_from_history(user)
    ip = get_adapter().get_client_ip(context.request)
    log(logger, logging.INFO, "account_deleted", user=user.pk, was_staff=user.is_staff, ip=ip)
    row.delete()
    return True


@transaction.atomic
def delete_by_staff(users: QuerySet[User]) -> None:
    """Delete these accounts as staff, and email their confirmed addresses. Raise LastSuperuser if none would remain.

    The rows are locked in the same order as by `delete`.
    """
    emails = {user: _lock_addresses(user) for user in users.order_by("pk")}
    for user in emails:
        SecondFactor.objects.turn_off(user)
    keys = [user.pk for user in emails]
    keep_a_superuser(keys)
    request = context.request
    ip = get_adapter().get_client_ip(request)
    rows = User.objects.filter(pk__in=keys)
    for user in rows.select_for_update().order_by("pk"):
        sessions.end_all(user)
        _notify(user, emails[user], by_staff=True)
        _remove_from_history(user)
        log(logger, logging.INFO, "account_deleted_by_staff", user=user.pk, staff=request.user.pk, ip=ip)
    rows.delete()


def _lock_addresses(user: User) -> list[str]:
    """Lock the addresses of this account and return them. A parallel deletion waits here.

    The primary one is locked last, as by a change of the primary address.
    """
    rows = EmailAddress.objects.select_for_update().filter(user=user).order_by("primary", "pk")
    return [row.email for row in rows]


def _lock(user: User) -> User:
    """Lock the row of the user, so that no row that refers to it is added. Raise ChangedMeanwhile if it has changed."""
    unchanged = User.objects.select_for_update().filter(password_version=user.password_version)
    row = unchanged.filter(pk=user.pk).first()
    if row is None or SecondFactor.objects.filter(user=row).exists():
        raise ChangedMeanwhile
    return row


def _notify(user: User, emails: list[str], *, by_staff: bool = False) -> None:
    """Email the confirmed addresses among these. The adapter skips the others."""
    details = {"url": "", "by_staff": by_staff}
    for email in emails:
        get_adapter().send_notification_mail("account/email/account_deleted", user, details, email)


def _remove_from_history(user: User) -> None:
    """Remove the email address from what the admin recorded about this account."""
    users = ContentType.objects.get_for_model(User)
    LogEntry.objects.filter(content_type=users, object_id=str(user.pk)).update(object_repr=f"user {user.pk}")
