"""Who an address and a password belong to."""

from typing import Any

from allauth.account import auth_backends

from accounts.addresses import owner_of
from accounts.models import User


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    """Check the password against the one account that owns the address, so that a sign-in costs one hash.

    allauth checks it against every account that claims the address.
    """

    def _authenticate_by_email(self, email: str, password: str) -> Any:
        # Where nobody owns the address, a user without a password costs as many hashes.
        return self._check_password(owner_of(email) or User(), password)
