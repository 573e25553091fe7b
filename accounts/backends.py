"""Who an address and a password belong to."""

from typing import Any

from allauth.account import auth_backends
from allauth.account.models import EmailAddress

from accounts.models import User


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    """allauth's, with one question for the address, its user and the authenticator, where allauth asks three."""

    def _authenticate_by_email(self, email: str, password: str) -> Any:
        for user in owners_of(email.lower()):
            if self._check_password(user, password):
                return user
        return None


def owners_of(email: str) -> list[User]:
    """Whoever confirmed this address; where nobody did, whoever claims it. Each knows which of the two it is."""
    claims = list(EmailAddress.objects.filter(email=email).select_related("user__twofactor_authenticator"))
    for claim in claims:
        EmailAddress.objects.fill_cache_for_user(claim.user, [claim])
    if confirmed := [claim.user for claim in claims if claim.verified]:
        return confirmed
    return list(dict.fromkeys([*(claim.user for claim in claims), *User.objects.filter(email=email)]))
