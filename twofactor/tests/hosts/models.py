"""User models of other sites."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, AbstractUser, BaseUserManager
from django.db import models


class NamedUser(AbstractUser):
    """A user name, and a UUID as key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"


class AddressManager(BaseUserManager):
    def create_user(self, email, password=None):
        user = self.model(email=email)
        user.set_password(password)
        user.save()
        return user


class AddressUser(AbstractBaseUser):
    """An email address only: no staff status, no permissions, no date of joining."""

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    objects = AddressManager()
    USERNAME_FIELD = EMAIL_FIELD = "email"

    class Meta:
        abstract = True


class NumberedUser(AddressUser):
    pass


class KeyedUser(AddressUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
