"""Base classes of the forms, for the app and for the site's own forms."""

from typing import TYPE_CHECKING

from django import forms

from twofactor.fields import in_words
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class FocusFirstError(forms.Form):
    """A form whose first invalid field has the focus, also without JavaScript."""

    def full_clean(self) -> None:
        super().full_clean()
        if invalid := [name for name in self.fields if name in self.errors]:
            self.focus(invalid[0])

    def focus(self, name: str) -> None:
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)
        self.fields[name].widget.attrs["autofocus"] = True


class LimitedForm(FocusFirstError):
    """A form under a rate limit. If it refuses to check the input, `retry_after` is the number of seconds to wait."""

    refused: Refused | None = None
    retry_after: int | None = None
    sends_itself = False  # True if the script submits the form after the sixth digit

    @property
    def status(self) -> int:
        """Return the status code for a page with this form: 422 for errors, 429 if the input was not checked."""
        if not self.is_bound:
            return 200
        return 422 if self.retry_after is None else 429

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def refuse(self, field: str, message: "StrOrPromise", refused: Refused) -> None:
        """Add the message, with the time to wait in words."""
        self.refused = refused
        self.retry_after = refused.wait
        if refused.wait is not None:
            message = message % {"wait": in_words(refused.wait)}
        self.add_error(field, forms.ValidationError(message, code=refused.code))

    def is_refused(self, code: str) -> bool:
        """Return whether the input was refused with this code of Refused."""
        return self.refused is not None and self.refused.code == code
