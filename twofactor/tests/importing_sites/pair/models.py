"""The models of the Django + Next.js pair: users, and one row for the second factor of each."""

import secrets
import uuid

import pyotp
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class UserManager(BaseUserManager):
    def create_user(self, email, password, **fields):
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    full_name = models.CharField(max_length=150)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = UserManager()
    USERNAME_FIELD = "email"

    def get_2fa_object(self):
        """Reading creates a row, without a secret and not enabled."""
        return TwoFactorAuth.objects.get_or_create(user=self)[0]


class TwoFactorAuth(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="two_factor_auth")
    secret_key = models.CharField(max_length=32, unique=True)
    is_enabled = models.BooleanField(default=False)
    backup_codes = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self):
        return f"2FA of {self.user.email}"

    def set_up(self):
        """What a POST to 2fa/setup/ does."""
        self.secret_key = self.secret_key or pyotp.random_base32()
        self.backup_codes = [secrets.token_hex(4).upper() for _ in range(10)]
        self.save()

    def verify_setup(self, token):
        """What a POST to 2fa/verify-setup/ does."""
        if pyotp.TOTP(self.secret_key).verify(token, valid_window=1):
            self.is_enabled = True
            self.save()
        return self.is_enabled

    def verify_backup_code(self, code):
        if code not in self.backup_codes:
            return False
        self.backup_codes.remove(code)
        self.save()
        return True
