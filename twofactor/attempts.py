"""One try of a second factor: charge it, check it, give the charge back, record it and tell the owner.

Forms call this, and a JSON view could: it depends on no form, template or message.
"""

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from django.http import HttpRequest

from twofactor import events, limits
from twofactor.models import Passkey, SecondFactor
from twofactor.passkeys import passkeys_of
from twofactor.refusals import Copied, Refused


class Answer(Protocol):
    """What a user gives as a second factor by one method."""

    key: str  # the method, in signals and logs
    refused_event: str  # in the log
    is_backup: bool  # True if the owner is told of each one that was accepted
    is_counted: bool  # True if a wrong one uses up a try of the pending sign-in

    @property
    def is_guessable(self) -> bool:
        """Return whether the account's throttle counts wrong ones."""

    def check(self, *, now: float) -> bool:
        """Return whether it is right, and use it up. Charge the account first if it is guessable.

        Raise Refused if it is not checked, or to say for the log why it is wrong.
        """


@dataclass
class Attempt:
    """One try of a user.

    `pending_id`: the pending sign-in, "" for a signed-in user. `asks_password`: the form asks for the password too.
    """

    request: HttpRequest
    second_factor: SecondFactor
    pending_id: str = ""
    asks_password: bool = False
    codes_left: int | None = field(default=None, init=False)  # after an accepted backup code

    def make(self, answer: Answer, *, now: float | None = None) -> None:
        """Raise Refused unless the answer is accepted. `now` is in seconds since 1970, by default the current time.

        Do not call this in a transaction, because a later error would roll the charges back.
        """
        user = self.second_factor.user
        failures = self.second_factor.failures
        try:
            self._judge(answer, time.time() if now is None else now)
        except Refused as refused:
            events.refused(self.request, user, answer, refused)
            if isinstance(refused, Copied):
                events.passkey_copied(self.request, user, name=refused.name)
            if refused.code == "wrong" and answer.is_counted:
                self._follow_up(is_charged=self.second_factor.failures > failures)
            raise
        events.accepted(self.request, user, method=answer.key)

    def _judge(self, answer: Answer, now: float) -> None:
        charged = self._charge(answer)
        try:
            is_right = answer.check(now=now)
        except Refused as refused:
            if refused.code != "wrong":
                limits.give_back(*charged)
            raise
        if not is_right:
            raise Refused("wrong")
        if answer.is_backup:  # it is used up, even if a parallel request has completed the sign-in
            self.codes_left = self.second_factor.codes_left
            events.backup_code_used(self.request, self.second_factor.user, codes_left=self.codes_left)
        is_first = self._complete(answer)
        limits.give_back(*charged)
        if not is_first:
            raise Refused("closed")

    def _charge(self, answer: Answer) -> list[limits.Tries]:
        """Charge the source and the pending sign-in. The model charges the account when it checks the answer."""
        source = limits.codes_of_source(self.request)
        if not source.charge():
            raise Refused("source", source.wait())
        if self.sign_in is None or not answer.is_counted:
            return [source]
        if not self.sign_in.charge():
            limits.give_back(source)
            raise Refused("ended" if self.sign_in.end() else "closed")
        return [source, self.sign_in]

    def _complete(self, answer: Answer) -> bool:
        """Return False if a parallel request has completed or ended the pending sign-in."""
        if self.sign_in is None:
            return True
        return self.sign_in.complete() if answer.is_counted else self.sign_in.complete_without_charge()

    def _follow_up(self, *, is_charged: bool) -> None:
        """Tell the owner of a lock and of five wrong ones in a row. End the sign-in, or the session, after five.

        `is_charged`: the account was charged. An answer that is not guessable, or malformed, is not.
        """
        is_told = is_charged and self._tell_owner()
        if is_told and self.can_end_session:
            raise Refused("signed_out")
        if self.sign_in and not self.sign_in.left():
            if not self.sign_in.end():
                raise Refused("closed")
            if not is_told:
                events.wrong_codes(self.request, self.second_factor)
            raise Refused("ended")

    def _tell_owner(self) -> bool:
        """Record a lock, and every fifth wrong code in a row. The account counts over all forms and sign-ins."""
        if self.second_factor.is_locked_by_this_try:
            events.locked(self.request, self.second_factor)
        if self.second_factor.is_fifth_failure:
            events.wrong_codes(self.request, self.second_factor, signed_in=self.can_end_session)
        return self.second_factor.is_fifth_failure

    def is_last_try(self, answer: Answer) -> bool:
        """Return whether one more wrong answer ends the pending sign-in or the session."""
        if self.sign_in:
            return answer.is_counted and self.sign_in.left() == 1
        return self.can_end_session and answer.is_guessable and self.second_factor.next_is_fifth_failure

    @property
    def can_end_session(self) -> bool:
        """True for a signed-in user who is not asked for the password.

        Five wrong codes in a row end the session. Otherwise a stolen session could keep the account throttled.
        """
        return not self.pending_id and not self.asks_password

    @cached_property
    def passkeys(self) -> list[Passkey]:
        """The passkeys that can be used here. This costs a query only if there are any."""
        return passkeys_of(self.second_factor)

    @cached_property
    def sign_in(self) -> limits.SignInTries | None:
        return limits.sign_in(self.pending_id) if self.pending_id else None
