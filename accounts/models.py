import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import PermissionsMixin
from django.db import DatabaseError, IntegrityError, models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts import passwords
from accounts.managers import UserManager


def new_password_version() -> str:
    return secrets.token_hex(16)


class User(AbstractBaseUser, PermissionsMixin):
    """A user with an email address and a full name, without a username."""

    email = models.EmailField(
        _("email address"), unique=True, error_messages={"unique": _("Someone already has this address.")}
    )
    full_name = models.CharField(_("full name"), max_length=150, blank=True)
    # Changes with the password, but not when the same password is rehashed. Sessions are bound to it.
    password_version = models.CharField(max_length=32, default=new_password_version, editable=False)
    # The language of emails to this user. Empty means the default language of the site.
    language = models.CharField(max_length=10, blank=True, editable=False)
    is_staff = models.BooleanField(_("staff"), default=False, help_text=_("Can use the admin."))
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Uncheck this instead of deleting the account.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user. If the account was deleted meanwhile, raise IntegrityError instead of creating it again."""
        if not self._state.adding and self.pk is not None and not kwargs.get("force_insert"):
            kwargs["force_update"] = True
        try:
            super().save(*args, **kwargs)
        except DatabaseError as error:
            if type(error) is not DatabaseError:  # this is how Django says that no row was updated
                raise
            raise IntegrityError("The account was deleted.") from error

    # --- The password -------------------------------------------------------------------------

    def set_password(self, raw_password: str | None) -> None:
        """Set the password in NFC. Saving the user then ends their sessions, even if the password is the same."""
        super().set_password(None if raw_password is None else passwords.normalize(raw_password))
        self.password_version = new_password_version()

    def set_unusable_password(self) -> None:
        super().set_unusable_password()
        self.password_version = new_password_version()

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password. Upgrade an outdated hash without ending sessions.

        Compute one hash, or two if the input is not in NFC: older hashes were made without normalization. Compute
        none if the input is too long.
        """
        if raw_password is None or len(raw_password) > passwords.MAX_LENGTH:
            return False
        normalized = passwords.normalize(raw_password)
        if check_password(normalized, self.password, self._rehash):
            return True
        if normalized != raw_password and check_password(raw_password, self.password):
            self._rehash(normalized)
            return True
        return False

    async def acheck_password(self, raw_password: str | None) -> bool:
        return await sync_to_async(self.check_password)(raw_password)

    def _rehash(self, password: str) -> None:
        """Save a new hash of the same password, by compare-and-swap: a concurrent change of password wins."""
        new_hash = make_password(password)
        if User.objects.filter(pk=self.pk, password=self.password).update(password=new_hash):
            self.password = new_hash

    def get_session_auth_hash(self) -> str:
        """Return an HMAC of the password's version. Django uses the hash, which also changes when it is upgraded."""
        return self._session_auth_hash(settings.SECRET_KEY)

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._session_auth_hash, settings.SECRET_KEY_FALLBACKS)

    def _session_auth_hash(self, secret: str | bytes) -> str:
        return salted_hmac("accounts.session", self.password_version, secret=secret, algorithm="sha256").hexdigest()
