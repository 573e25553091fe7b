"""The authentication backend: one account, and one password hash, for each sign-in."""

from typing import Any

from allauth.account import auth_backends
from django.http import HttpRequest

from accounts.addresses import owner_of
from accounts.models import User


def cached_owner(request: HttpRequest | None, email: str) -> User | None:
    """Return `owner_of(email)`, cached on the request. The rate limit of wrong passwords needs it as well."""
    email = email.lower()
    owners: dict[str, User | None] = {} if request is None else request.__dict__.setdefault("owners", {})
    if email not in owners:
        owners[email] = owner_of(email)
    return owners[email]


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    """Check the password only for the account that owns the address, so that a sign-in computes one hash.

    allauth checks it for every account that has the address, confirmed or not.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:
        self.request = request
        return super().authenticate(request, **credentials)

    def _authenticate_by_email(self, email: str, password: str) -> Any:
        # Timing equalization: for an unknown address, a user without a password takes as many hashes.
        return self._check_password(cached_owner(self.request, email) or User(), password)
