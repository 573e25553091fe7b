"""The passkeys of a user: what the server keeps of each WebAuthn credential (WebAuthn Level 3, section 4)."""

import hashlib
import uuid
from typing import TYPE_CHECKING

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofactor import conf, times
from twofactor.models.second_factor import SecondFactor
from twofactor.providers import provider_of
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

NAME_LENGTH = 60


class PasskeyManager(models.Manager["Passkey"]):
    def add(self, user: "_User", passkey: "Passkey") -> list[str]:
        """Store a new passkey of this user. The first credential turns 2FA on.

        Return the ten backup codes in clear if 2FA was off, and otherwise an empty list.

        Raise Refused if any user has this credential already (`registered`), or this user has too many passkeys
        (`full`), and ChangedMeanwhile if another request changed 2FA since `user` was read.
        """
        second_factor = SecondFactor.objects.for_user(user) or SecondFactor(user_id=user.pk)
        if self.is_full(second_factor):
            raise Refused("full")
        passkey.digest = digest_of(bytes(passkey.credential_id))
        with second_factor.change() as codes:
            passkey.second_factor = second_factor
            try:
                with transaction.atomic():
                    passkey.save(force_insert=True)
            except IntegrityError:
                raise Refused("registered") from None
        second_factor.user = user
        return codes

    def is_full(self, second_factor: SecondFactor | None) -> bool:
        """Return whether the account has as many passkeys as it can have."""
        return second_factor is not None and second_factor.passkey_count >= conf.PASSKEYS_AT_MOST

    def remove(self, second_factor: SecondFactor, passkey: "Passkey") -> list[str]:
        """Remove a passkey, while another credential keeps 2FA on.

        Return new backup codes in clear if there were none, as after an import. Raise ChangedMeanwhile if another
        request changed 2FA.
        """
        with second_factor.change() as codes:
            passkey.delete()
        return codes


class Passkey(models.Model):
    """A credential: a public key whose private key stays in the user's device or password manager."""

    second_factor = models.ForeignKey(SecondFactor, models.CASCADE, related_name="passkeys")
    credential_id = models.BinaryField(max_length=1023)
    # Databases limit the length of unique columns, so the credential ID has a digest: its SHA-256 in hex.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    user_handle = models.BinaryField(max_length=64)  # as at registration; imported passkeys keep theirs
    public_key = models.BinaryField()  # COSE
    rp_id = models.CharField(_("domain"), max_length=253)
    sign_count = models.BigIntegerField(default=0)
    transports = models.CharField(max_length=200, blank=True)  # with spaces between them
    aaguid = models.UUIDField(default=uuid.UUID(int=0))  # the provider, for its name only
    # It never changes. None: an imported passkey that has not been used here, whose app did not store it.
    is_backup_eligible = models.BooleanField(null=True, default=False)
    is_backed_up = models.BooleanField(_("synced"), default=False)
    is_user_verified = models.BooleanField(default=False)  # `uvInitialized` in Level 3
    is_discoverable = models.BooleanField(null=True, default=None)  # None: the browser did not say
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    created_at = models.DateTimeField(_("added"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    objects = PasskeyManager()

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")

    def __str__(self) -> str:
        return f"passkey of {self.second_factor_id}"

    @property
    def provider(self) -> str:
        """Return the name of the password manager or device, "" if it is not known."""
        return provider_of(self.aaguid)

    def has_older_count(self, sign_count: int) -> bool:
        """Return whether this is the sign count of an older copy of a device-bound passkey (Level 3, section 6.1.1).

        The devices that share a synced passkey do not share a count, and a count that is always 0 says nothing.
        """
        counts = sign_count or self.sign_count
        return bool(counts) and not self.is_backup_eligible and sign_count <= self.sign_count

    def use(self, *, sign_count: int, is_backed_up: bool, is_verified: bool, now: float) -> bool:
        """Record an accepted assertion. Return False if the passkey was removed, or its count is not newer any more.

        `is_verified`: the user was verified by this assertion, and proved the password too. Only then is a user whom
        the registration did not verify regarded as verified later (Level 3, section 7.2).
        """
        row = Passkey.objects.filter(pk=self.pk)
        if not self.is_backup_eligible:
            row = row.filter(sign_count__lt=sign_count) if sign_count else row.filter(sign_count=0)
        used = {"sign_count": sign_count, "is_backed_up": is_backed_up, "last_used_at": times.at(now)}
        used["is_backup_eligible"] = self.is_backup_eligible
        if is_verified:
            used["is_user_verified"] = True
        return row.update(**used) == 1

    def rename(self, name: str) -> None:
        """Change the name. It opens nothing, so it is no change of 2FA."""
        Passkey.objects.filter(pk=self.pk).update(name=name)


def digest_of(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()
