"""The adapter that connects allauth to the second factor. A site names it in ACCOUNT_ADAPTER, or derives its own."""

from ipaddress import ip_address
from typing import TYPE_CHECKING

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from twofactor import known_browsers
from twofactor.models import SecondFactor

if TYPE_CHECKING:
    from django.contrib.auth.models import _User


class AccountAdapter(DefaultAccountAdapter):
    """allauth's adapter, with the app's stage in every sign-in and the app's page for every step-up."""

    def get_login_stages(self) -> list[str]:
        return [*super().get_login_stages(), "twofactor.stages.VerifyStage"]

    def get_reauthentication_methods(self, user: "_User") -> list[dict[str, str]]:
        """Return the app's step-up page as the only method. Without 2FA it asks for the password alone.

        The list is empty for users who have neither 2FA nor a password: they have nothing to prove.
        """
        url = reverse("twofactor:reauthenticate")
        if SecondFactor.objects.for_user(user) is None:
            methods = super().get_reauthentication_methods(user)
            return [{**each, "url": url} for each in methods if each["id"] == "reauthenticate"]
        return [{"id": "twofactor", "description": _("Confirm it's you"), "url": url}]

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> HttpResponse:
        """Remember the browser in its device cookie. The signal of the sign-in is sent before, by allauth."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        known_browsers.remember(request, response, user)
        return response

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's IP address.

        A dual-stack socket reports IPv4 as ::ffff:a.b.c.d. All of these are in one IPv6 /64 and would share its limits.
        """
        return _unmapped(super().get_client_ip(request))


def _unmapped(ip: str) -> str:
    """Return this IP address, or the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2)."""
    address = ip_address(ip)
    return str(getattr(address, "ipv4_mapped", None) or address)
