"""The form of step 3 of the setup."""

from typing import TYPE_CHECKING

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from twofactor import conf, enrolment, totp
from twofactor.base_forms import LimitedForm
from twofactor.fields import CodeField, in_words
from twofactor.forms import TOO_MANY, CodeForm
from twofactor.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class VerifySetupForm(LimitedForm):
    """A code that proves that the app has the key. `time_step` is the time step of that code."""

    code = CodeField(
        help_text=_(
            "Your app now shows six digits that change every 30 seconds. Enter them here to check that it works."
        )
    )
    field_name = "code"
    template_name = CodeForm.template_name
    has_backup_code = CodeForm.has_backup_code
    sends_itself = True

    error_messages = {
        "source": CodeForm.error_messages["source"],
        "wrong": _("That code isn't right. Check that you scanned this QR code, and try the next code."),
        "ahead": _("Your phone's clock is %(off)s ahead. Set it to update automatically, then try the next code."),
        "behind": _("Your phone's clock is %(off)s behind. Set it to update automatically, then try the next code."),
    }

    def __init__(
        self, data: QueryDict | None = None, *, request: HttpRequest, setup: enrolment.Setup, now: float
    ) -> None:
        super().__init__(data)
        self.request = request
        self.setup = setup
        self.now = now
        self.time_step = -1
        self.focus("code")

    def clean(self) -> None:
        if self.errors:
            return
        code = self.cleaned_data["code"]
        try:
            self.time_step = enrolment.prove(self.request, self.setup, code, now=self.now)
        except Refused as refused:
            self.refuse("code", self._words_for(refused.code, code), refused)

    def _words_for(self, why: str, code: str) -> "StrOrPromise":
        """Return the message, for a wrong code with the clock offset. At sign-in, the offset would help an attacker."""
        if why != "wrong":
            return self.error_messages.get(why, TOO_MANY)
        around = totp.time_step_at(self.now)
        offset = totp.clock_offset(self.setup.secret, code, around=around, reach=conf.CLOCK_REACH)
        if offset is None:
            return self.error_messages["wrong"]
        return self.error_messages["ahead" if offset > 0 else "behind"] % {"off": in_words(abs(offset))}
