"""Limits of the emails that someone else than the owner of the address can cause."""

from allauth.account.models import EmailAddress
from django.http import HttpRequest

from accounts import addresses
from twofactor import limits

# Emails that anyone can trigger for any address, and the limit of each. All others notify the owner of an account.
LIMITED_EMAILS = {
    "account/email/account_already_exists": "reset",
    "account/email/password_reset_key": "reset",
    "account/email/unknown_account": "other",
    "account/email/email_confirmation": "other",
    "account/email/email_confirmation_signup": "other",
}


def charge(request: HttpRequest | None, template_prefix: str, email: str, *, is_first: bool) -> bool:
    """Charge an email that was not triggered by the signed-in owner of the address. Return whether to send it.

    The first confirmation of a new account is not charged, since there is one per account.
    """
    kind = LIMITED_EMAILS.get(template_prefix)
    if kind is None or is_first:
        return True
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        own = EmailAddress.objects.filter(user=user, email=email.lower(), verified=True)
        if own.exists():
            return True
    return limits.email_to(kind, addresses.mailbox(email)).charge()
