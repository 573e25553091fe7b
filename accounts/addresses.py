"""Email addresses and their accounts.

`User.email` duplicates the primary row of allauth's `EmailAddress`. One rule keeps the two records consistent: an
address belongs to the account that confirmed it. See docs/security.md.
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
INVALID = _("Enter an email address, like name@example.com.")


class Taken(Exception):
    """Nothing was changed: the address belongs to another account, or its account is in use.

    Also raised if the address was confirmed or removed concurrently.
    """


def mailbox(email: str) -> str:
    """Return the address in lower case, with its domain in ASCII (IDNA)."""
    name, _at, domain = email.lower().rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:  # The domain is not valid in IDNA.
        return email.lower()


def is_canonical(email: str) -> bool:
    """Return whether the domain is in the form that IDNA normalizes to, in ASCII or in Unicode.

    Any other spelling, such as full-width letters, would allow a second account for the same mailbox.
    """
    domain, ascii_domain = (address.rpartition("@")[2] for address in (email.lower(), mailbox(email)))
    try:
        return domain in {ascii_domain, ascii_domain.encode().decode("idna")}
    except UnicodeError:  # Valid in IDNA 2008 only. Python's codec implements IDNA 2003.
        return domain == ascii_domain


def owner_of(email: str) -> User | None:
    """Return the account that this address signs in to, or None.

    That is the account that confirmed the address. If there is none, it is the account that signed up with the address
    and has no confirmed address at all. An unconfirmed address of any other account does not sign in.
    """
    email = email.lower()
    confirmed = EmailAddress.objects.filter(email=email, verified=True).select_related("user__second_factor")
    if address := confirmed.first():
        EmailAddress.objects.fill_cache_for_user(address.user, [address])
        return address.user
    any_confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    return User.objects.filter(~Exists(any_confirmed), email=email).first()


def confirmation_of(key: str) -> EmailConfirmationHMAC | None:
    """Return the confirmation of a link with its address and account loaded, or None if the link is invalid."""
    confirmation = EmailConfirmationHMAC.from_key(key)
    if confirmation is None:
        return None
    try:
        user = confirmation.email_address.user  # Load it here, where a concurrent removal is handled.
    except User.DoesNotExist:
        return None
    return confirmation if user else None


def is_new(user: User) -> bool:
    """Return whether this account has no confirmed address: its sign-up is not complete."""
    return not has_verified_email(user)


def lock(email: str) -> list[EmailAddress]:
    """Lock all rows of this address. The fixed order prevents deadlocks between transactions."""
    return list(EmailAddress.objects.select_for_update().filter(email=email).order_by("pk"))


@transaction.atomic
def release(email: str, *, to: User) -> None:
    """Remove this address from all other accounts, so that `to` can confirm it or make it primary.

    Delete the unconfirmed rows of other accounts, and an unused account that signed up with the address. Raise Taken
    if another account confirmed the address, or if the account that signed up with it is in use.
    """
    claims = [row for row in lock(email) if row.user_id != to.pk]
    if any(claim.verified for claim in claims):
        raise Taken
    if holder := User.objects.filter(email=email).exclude(pk=to.pk).first():
        _release_from(holder)
    EmailAddress.objects.filter(pk__in=[claim.pk for claim in claims]).delete()


@transaction.atomic
def prepare_confirmation(claim: EmailAddress) -> None:
    """Prepare the confirmation of this address. Raise Taken if it belongs to another account or was removed."""
    release(claim.email, to=claim.user)
    if not EmailAddress.objects.filter(pk=claim.pk).exists():
        raise Taken  # It was removed concurrently. Saving it would create it again.
    # An unconfirmed address must not stay primary beside a confirmed one.
    unconfirmed = EmailAddress.objects.filter(user=claim.user, primary=True, verified=False).exclude(pk=claim.pk)
    unconfirmed.update(primary=False)


@transaction.atomic
def confirm_primary(user: User) -> None:
    """Make `user.email` the confirmed primary address. Raise Taken if it belongs to another account."""
    release(user.email, to=user)
    EmailAddress.objects.filter(user=user, primary=True).exclude(email=user.email).update(primary=False)
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})


@transaction.atomic
def reject(claim: EmailAddress) -> None:
    """Delete an unconfirmed address, or the whole account if its sign-up is not complete.

    Raise Taken if the account is in use, or if the address was confirmed or removed concurrently.
    """
    if not any(row.pk == claim.pk and not row.verified for row in lock(claim.email)):
        raise Taken
    if is_new(claim.user):
        remove(claim.user)
    else:
        claim.delete()


def can_be_removed(user: User) -> bool:
    """Return whether this account was never used: no sign-in, no staff status, and no rows but its addresses."""
    if user.last_login or user.is_staff or user.is_superuser:
        return False
    collector = NestedObjects(using=user._state.db or "default", origin=user)
    collector.collect([user])
    found = {model for model, rows in collector.data.items() if rows} - {User, EmailAddress}
    emptied = any(rows for updates in collector.field_updates.values() for rows in updates)
    return not (found or collector.protected or emptied)


def remove(user: User) -> None:
    """Delete an account that was never used. Raise Taken if it is in use."""
    if not can_be_removed(user):
        raise Taken
    log(logger, logging.INFO, "unconfirmed_account_removed", user=user.pk)
    user.delete()


def masked(email: str) -> str:
    """Return `a•••@e•••.com` for `ada@example.com`.

    The owner recognizes it. A sign-up with a made-up address cannot put its own text into an email.
    """
    name, _at, domain = email.partition("@")
    host, _dot, ending = domain.rpartition(".")
    return f"{name[:1]}•••@{host[:1]}•••.{ending}"


def _release_from(holder: User) -> None:
    """Make this account use its confirmed address instead of its `User.email`. Without one, remove the account."""
    if confirmed := EmailAddress.objects.get_verified(holder):
        confirmed.set_as_primary()  # `User.email` was changed outside this module.
    else:
        remove(holder)
