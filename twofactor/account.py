"""How allauth learns of the second factor: a site names this adapter, or derives its own from it."""

from ipaddress import ip_address
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.urls import reverse
from django.utils.translation import gettext as _


class AccountAdapter(DefaultAccountAdapter):
    """allauth's, with our stage in every sign-in and our page wherever it asks for a proof."""

    def get_login_stages(self) -> list[str]:
        return [*super().get_login_stages(), "twofactor.stages.VerifyStage"]

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Where 2FA is on, password and code are one proof; allauth's own page takes the password alone."""
        if getattr(user, "authenticator", None) is None:
            return super().get_reauthentication_methods(user)
        url = reverse("twofactor:reauthenticate")
        return [{"id": "twofactor", "description": _("Use your password and a code"), "url": url}]

    def get_client_ip(self, request: Any) -> str:
        """A socket for both families names IPv4 addresses ::ffff:a.b.c.d, which all lie in one IPv6 /64."""
        return one_family(super().get_client_ip(request))


def one_family(ip: str) -> str:
    """Return this IP address; an IPv4 one as such, also where IPv6 carries it."""
    address = ip_address(ip)
    return str(getattr(address, "ipv4_mapped", None) or address)
