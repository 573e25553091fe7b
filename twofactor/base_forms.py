"""Base classes of the forms, for the app and for the site's own forms."""

from typing import TYPE_CHECKING

from django import forms

from twofactor.fields import in_words
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class FocusFirstError(forms.Form):
    """Focus the first invalid field, or else the first field, also without JavaScript.

    After an error of the whole form, focus the password, because that field is emptied.
    """

    has_initial_focus = True  # False on a page whose main subject is not the form

    def full_clean(self) -> None:
        """Templates call this for an unbound form too, through `non_field_errors`."""
        super().full_clean()
        if invalid := [name for name in self.fields if name in self.errors]:
            self.focus(invalid[0])
        elif self.is_bound or (self.has_initial_focus and not self._has_focus()):
            self._focus_first()

    def _has_focus(self) -> bool:
        return any("autofocus" in field.widget.attrs for field in self.fields.values())

    def _focus_first(self) -> None:
        visible = [name for name, field in self.fields.items() if not field.widget.is_hidden]
        emptied = [name for name in visible if isinstance(self.fields[name].widget, forms.PasswordInput)]
        for name in (emptied if self.is_bound else visible)[:1]:
            self.focus(name)

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
