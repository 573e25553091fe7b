"""The address that a browser waits to confirm: the session keeps what was typed, whether or not there is an account."""

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest

from accounts import addresses

# Session keys: the name and address of the last sign-up, and the address that was confirmed since.
AWAITED = "awaited_confirmation"
CONFIRMED = "confirmed_email"


def await_link(request: HttpRequest, *, email: str, full_name: str) -> None:
    """Remember an address whose link was sent."""
    request.session[AWAITED] = {"email": email, "full_name": full_name}


def awaited(request: HttpRequest) -> dict[str, str]:
    """Return `email` and `full_name` of the address that this browser waits to confirm, or an empty dict."""
    fields: dict[str, str] = request.session.get(AWAITED, {})
    return fields


def send_again(request: HttpRequest, email: str) -> None:
    """Send what the sign-up sent: the link, or for an address with an account an email that says so.

    `email_limits` counts both. The caller responds alike for every address.
    """
    owner = addresses.owner_of(email)
    claim = EmailAddress.objects.filter(user=owner, email=email.lower(), verified=False).first() if owner else None
    if claim:
        claim.send_confirmation(request)
    else:
        get_adapter().send_account_already_exists_mail(email)


def forget(request: HttpRequest) -> None:
    request.session.pop(AWAITED, None)


def finish(request: HttpRequest, email: str) -> None:
    """Remember a confirmed address for the sign-in page that follows."""
    forget(request)
    request.session[CONFIRMED] = email


def take_confirmed(request: HttpRequest) -> str:
    """Return the confirmed address and remove it from the session, so that only the next sign-in page names it."""
    return str(request.session.pop(CONFIRMED, ""))
