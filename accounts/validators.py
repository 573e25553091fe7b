from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts import passwords


class MinimumLengthValidator(password_validation.MinimumLengthValidator):
    """Django's, counting a letter and its accent once, however they were typed.

    In our own words, since Django has none in Arabic and Chinese.
    """

    def validate(self, password: str, user: Any = None) -> None:
        # No further than a password may reach: what is longer is refused by its length, and normalizes slowly.
        super().validate(passwords.normalize(password[: passwords.MAX_LENGTH]), user)

    def get_error_message(self) -> str:
        return _("Your password needs at least %(length)d characters.") % {"length": self.min_length}


class UserAttributeSimilarityValidator(password_validation.UserAttributeSimilarityValidator):
    """Django's, in our own words: Django's sentence takes the name of a field, which does not fit in every language."""

    def get_error_message(self) -> str:
        return _("Your password is too much like your name or email address.")


class MaximumLengthValidator:
    """Refuse what is longer than any passphrase: a megabyte costs half a second to hash."""

    def __init__(self, max_length: int = passwords.MAX_LENGTH) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return _("Your password may have at most %(length)d characters.") % {"length": self.max_length}
