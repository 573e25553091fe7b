from typing import Any

from django.contrib.auth.base_user import BaseUserManager
from django.core.exceptions import ValidationError
from django.db import transaction


class UserManager(BaseUserManager[Any]):  # `Any` for User, because models.py imports this module
    def get_by_natural_key(self, username: str | None) -> Any:
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Any:
        """Create a user. The email address is saved in lower case. Raise ValueError if it is empty."""
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    @transaction.atomic
    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> Any:
        """Create a superuser with a confirmed address. Raise ValidationError if it belongs to another account."""
        from accounts import addresses  # Imported here because it imports the user model.

        user = self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})
        try:
            addresses.confirm_primary(user)
        except addresses.Taken:
            raise ValidationError(addresses.TAKEN) from None
        return user
