"""The account of `manage.py demo`. The landing page offers it to developers, on their own machine."""

from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.http.request import split_domain_port

EMAIL, PASSWORD = "demo@example.com", "try-the-demo-2fa"  # Public, so both need DEBUG.


def account_for(request: HttpRequest) -> dict[str, str] | None:
    """Return the fields of the sign-in form for the demo account, if this request may have them."""
    if settings.DEBUG and is_local(request) and get_user_model().objects.filter(email=EMAIL).exists():
        return {"login": EMAIL, "password": PASSWORD}
    return None


def is_local(request: HttpRequest) -> bool:
    """Return whether a browser on this machine asks for a page of this machine, without a proxy."""
    host = split_domain_port(request.get_host())[0].strip("[]")
    return (
        "X-Forwarded-For" not in request.headers
        and "Forwarded" not in request.headers
        and is_loopback(request.META["REMOTE_ADDR"])
        and (host == "localhost" or is_loopback(host))
    )


def is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
