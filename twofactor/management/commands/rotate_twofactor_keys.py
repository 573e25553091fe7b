"""`manage.py rotate_twofactor_keys`: seal every secret with the first key of TWOFACTOR_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from twofactor import conf
from twofactor.crypto import Unsealable, kid_of
from twofactor.models import Authenticator


class Command(BaseCommand):
    help = "Seals every secret anew with the first key. Row by row: it can be killed and run again."

    def handle(self, *args: Any, **options: Any) -> None:
        keyring = conf.keyring()
        rotated = failed = 0
        for authenticator in Authenticator.objects.order_by("pk").iterator():
            try:
                secret = authenticator.secret
            except Unsealable as error:
                failed += 1
                self.stderr.write(f"user {authenticator.user_id}: {error}")
                continue
            if kid_of(authenticator.sealed_secret) == keyring.sealing_kid:
                continue
            sealed = keyring.seal(secret, owner=str(authenticator.user_id))
            # Not if the person moved to a new phone meanwhile: that secret is sealed anew already.
            same = Authenticator.objects.filter(pk=authenticator.pk, sealed_secret=authenticator.sealed_secret)
            rotated += same.update(sealed_secret=sealed)
        self.stdout.write(f"{rotated} sealed with the key {keyring.sealing_kid}, {failed} could not be opened")
        if failed:
            raise CommandError(
                "Some secrets do not open with TWOFACTOR_KEYS; their owners can sign in by backup code only, "
                "and not by one that came from another app."
            )
