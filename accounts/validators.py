from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts import passwords


class MinimumLengthValidator(password_validation.MinimumLengthValidator):
    """Count the length in NFC, so that a letter with an accent counts once.

    The message is the site's own, because Django's is not translated into Arabic and Chinese.
    """

    def validate(self, password: str, user: Any = None) -> None:
        # MaximumLengthValidator refuses longer input, which would be slow to normalize.
        super().validate(passwords.normalize(password[: passwords.MAX_LENGTH]), user)

    def get_error_message(self) -> str:
        return _("Use at least %(length)d characters.") % {"length": self.min_length}


def min_length() -> int:
    """Return the minimum length in AUTH_PASSWORD_VALIDATORS."""
    validators = password_validation.get_default_password_validators()
    return next(each.min_length for each in validators if isinstance(each, MinimumLengthValidator))


class UserAttributeSimilarityValidator(password_validation.UserAttributeSimilarityValidator):
    """Use the site's own message: Django's contains the name of a field, which does not fit in every language."""

    def get_error_message(self) -> str:
        return _("Choose a password that's less like your name or email address.")


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    def get_error_message(self) -> str:
        return _("Too many people use this password. Choose a different one.")


class MaximumLengthValidator:
    """Refuse passwords that are too long: one of a megabyte takes half a second to hash."""

    def __init__(self, max_length: int = passwords.MAX_LENGTH) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return _("Use at most %(length)d characters.") % {"length": self.max_length}
