"""`manage.py demo`: a verified account, so that a newcomer signs in at once."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import addresses

EMAIL, PASSWORD = "demo@example.com", "try-the-demo-2fa"  # printed for everybody, and only with DEBUG on


class Command(BaseCommand):
    help = "Makes a demo account, if there is none, and prints how to sign in. Only with DEBUG on."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo account has a password that everybody knows: only with DEBUG on.")
        users = get_user_model().objects
        if not users.filter(email=EMAIL).exists():
            try:
                with transaction.atomic():
                    addresses.confirm_primary(users.create_user(EMAIL, PASSWORD, full_name="Demo Person"))
            except addresses.Taken:
                raise CommandError(f"{EMAIL} belongs to another account.") from None
        self.stdout.write(f"Demo account:  {EMAIL}  /  {PASSWORD}")
