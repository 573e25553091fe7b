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

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        email = credentials.get("email") or credentials.get("username")
        password = credentials.get("password")
        if not (email and password):
            return None
        # Timing equalization: for an unknown address, a user without a password takes as many hashes.
        user = cached_owner(request, email) or User()
        if not user.check_password(password):
            return None
        if not self.user_can_authenticate(user):
            self._stash_user(user)  # allauth's adapter then shows the page for inactive accounts
            return None
        return user

    def get_user(self, user_id: Any) -> User | None:
        """Load the second factor with the user, which saves one query on each page."""
        user = User.objects.select_related("second_factor__app").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None
