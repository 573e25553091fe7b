"""`manage.py demo`: create an account with a confirmed address, for trying the site out."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import addresses
from accounts.demo import EMAIL, PASSWORD


class Command(BaseCommand):
    help = "Creates a demo account if there is none, and prints its email address and password. Requires DEBUG."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The password of the demo account is public, so this command requires DEBUG.")
        users = get_user_model().objects
        if not users.filter(email=EMAIL).exists():
            try:
                with transaction.atomic():
                    addresses.confirm_primary(users.create_user(EMAIL, PASSWORD, full_name="Demo Person"))
            except addresses.Taken:
                raise CommandError(f"{EMAIL} belongs to another account.") from None
        self.stdout.write(f"Demo account:  {EMAIL}  /  {PASSWORD}")
