from typing import Any

from django.contrib.auth.base_user import BaseUserManager
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet


class UserManager(BaseUserManager["User"]):  # type: ignore[name-defined] # models.py imports this
    """Every user comes with its authenticator, so that no page asks for it in a query of its own."""

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("twofactor_authenticator")

    def get_by_natural_key(self, username: str | None) -> Any:
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Any:
        """Save a user with this e-mail address, in lower case; ValueError if it is empty."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    @transaction.atomic
    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> Any:
        """Save a superuser whose address counts as confirmed; ValidationError if it belongs to another account."""
        from accounts import addresses  # imports the user model

        user = self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})
        try:
            addresses.confirm_primary(user)
        except addresses.Taken:
            raise ValidationError(addresses.TAKEN) from None
        return user
