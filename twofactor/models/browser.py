"""The trusted browsers of a user. trust.py reads and writes them."""

import hashlib

from django.conf import settings
from django.db import models
from django.utils import timezone

from twofactor import useragent


class TrustedBrowser(models.Model):
    """A browser whose cookie replaces the code until it expires, or until the password or 2FA changes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="trusted_browsers")
    digest = models.CharField(max_length=64, unique=True)
    binding = models.CharField(max_length=64)
    user_agent = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"trusted browser of user {self.user_id}"

    @property
    def browser(self) -> str:
        return useragent.describe(self.user_agent)

    @staticmethod
    def digest_of(token: str) -> str:
        """Return the SHA-256 of a token. Tokens have 256 random bits, so they need no slow hash."""
        return hashlib.sha256(token.encode()).hexdigest()
