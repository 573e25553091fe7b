"""Who an email address belongs to.

`User.email` and allauth's `EmailAddress` rows are two records of the same thing. The rule that keeps them equal: an
address belongs to the account that confirmed it. docs/security.md has the whole of it.
"""

import logging

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import has_verified_email
from django.contrib.admin.utils import NestedObjects
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from twofactor.events import log

logger = logging.getLogger("accounts")

TAKEN = _("This address belongs to another account.")


class Taken(Exception):
    """The address belongs to another account, or its account is in use. Nothing was changed."""


def mailbox(email: str) -> str:
    """Return the address with its domain in ASCII (IDNA), as emails are sent to it."""
    name, _at, domain = email.lower().rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:  # not a domain
        return email.lower()


def is_canonical(email: str) -> bool:
    """Return whether the domain is spelled as IDNA has it, in ASCII or in Unicode.

    Every other spelling, such as one with full-width letters, would make one more account for the same mailbox.
    """
    domain, ascii_domain = (address.rpartition("@")[2] for address in (email.lower(), mailbox(email)))
    try:
        return domain in {ascii_domain, ascii_domain.encode().decode("idna")}
    except UnicodeError:  # a name that only a later version of IDNA has
        return domain == ascii_domain


def owner_of(email: str) -> User | None:
    """Return the account that this address signs in, or None.

    It is the account that confirmed the address. If no account did, it is the one that signed up with it and never
    confirmed any address. An unconfirmed address on an account that has a confirmed one signs in nobody.
    """
    email = email.lower()
    confirmed = EmailAddress.objects.filter(email=email, verified=True).select_related("user__twofactor_authenticator")
    if address := confirmed.first():
        EmailAddress.objects.fill_cache_for_user(address.user, [address])
        return address.user
    any_confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    return User.objects.filter(~Exists(any_confirmed), email=email).first()


def confirmation_of(key: str) -> EmailConfirmationHMAC | None:
    """Return what a confirmation link is about, or None if the link has ended. The account is loaded with it."""
    confirmation = EmailConfirmationHMAC.from_key(key)
    if confirmation is None:
        return None
    try:
        user = confirmation.email_address.user  # loaded now: a removal meanwhile does not end in an error
    except User.DoesNotExist:
        return None
    return confirmation if user else None


def is_new(user: User) -> bool:
    """Return whether this account has never confirmed an address: it signed up, and nobody has used it yet."""
    return not has_verified_email(user)


def lock(email: str) -> list[EmailAddress]:
    """Lock every account's row of this address, in one order so that two transactions do not deadlock."""
    return list(EmailAddress.objects.select_for_update().filter(email=email).order_by("pk"))


@transaction.atomic
def release(email: str, *, to: User) -> None:
    """Take this address from every other account, so that `to` can confirm it or make it primary.

    Unconfirmed claims of other accounts are deleted. So is an account that signed up with the address, never confirmed
    it and owns nothing else. Raise Taken if another account confirmed the address or is in use.
    """
    claims = [row for row in lock(email) if row.user_id != to.pk]
    if any(claim.verified for claim in claims):
        raise Taken
    if holder := User.objects.filter(email=email).exclude(pk=to.pk).first():
        _take_from(holder)
    EmailAddress.objects.filter(pk__in=[claim.pk for claim in claims]).delete()


@transaction.atomic
def prepare_confirmation(claim: EmailAddress) -> None:
    """Prepare the confirmation of this address. Raise Taken if it belongs to another account or is gone."""
    release(claim.email, to=claim.user)
    if not EmailAddress.objects.filter(pk=claim.pk).exists():
        raise Taken  # removed meanwhile; saving it would bring it back
    # A primary address that was never confirmed stops being primary.
    unconfirmed = EmailAddress.objects.filter(user=claim.user, primary=True, verified=False).exclude(pk=claim.pk)
    unconfirmed.update(primary=False)


@transaction.atomic
def confirm_primary(user: User) -> None:
    """Count the address of this account as confirmed and primary. Raise Taken if it belongs to another account."""
    release(user.email, to=user)
    EmailAddress.objects.filter(user=user, primary=True).exclude(email=user.email).update(primary=False)
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})


@transaction.atomic
def reject(claim: EmailAddress) -> None:
    """Remove an unconfirmed address, or the new account that signed up with it.

    Raise Taken if that account is in use, or the address was confirmed or removed meanwhile.
    """
    if not any(row.pk == claim.pk and not row.verified for row in lock(claim.email)):
        raise Taken
    if is_new(claim.user):
        remove(claim.user)
    else:
        claim.delete()


def can_be_removed(user: User) -> bool:
    """Return whether nobody ever used this account and nothing but its address belongs to it."""
    if user.last_login or user.is_staff or user.is_superuser:
        return False
    collector = NestedObjects(using=user._state.db or "default", origin=user)
    collector.collect([user])
    found = {model for model, rows in collector.data.items() if rows} - {User, EmailAddress}
    emptied = any(rows for updates in collector.field_updates.values() for rows in updates)
    return not (found or collector.protected or emptied)


def remove(user: User) -> None:
    """Delete an account that never confirmed its address. Raise Taken if it is in use."""
    if not can_be_removed(user):
        raise Taken
    log(logger, logging.INFO, "unconfirmed_account_removed", user=user.pk)
    user.delete()


def masked(email: str) -> str:
    """Return `a•••@e•••.com` for `ada@example.com`: enough for the owner, and nothing that a stranger typed."""
    name, _at, domain = email.partition("@")
    host, _dot, ending = domain.rpartition(".")
    return f"{name[:1]}•••@{host[:1]}•••.{ending}"


def _take_from(holder: User) -> None:
    """Free the address that is this account's `User.email` without being confirmed."""
    if confirmed := EmailAddress.objects.get_verified(holder):
        confirmed.set_as_primary()  # its `User.email` was changed outside of these functions
    else:
        remove(holder)
