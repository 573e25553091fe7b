"""What staff do to the second factor of a user, without a proof by the user, who is notified.

`reason` is for the log and the email. `request` is that of the staff member, None from a command.
"""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from twofactor import events, sessions
from twofactor.models import SecondFactor, TrustedBrowser

REASON_LENGTH = 500


def clean_reason(text: str) -> str:
    """Return the reason in one line, cut at REASON_LENGTH. Raise ValueError if it is blank."""
    # The shell may pass bytes that are not UTF-8. No email could carry the lone surrogates that Python makes of them.
    reason = " ".join(text.encode(errors="replace").decode().split())[:REASON_LENGTH].rstrip()
    if not reason:
        raise ValueError("blank")
    return reason


def reset(user: AbstractBaseUser, *, reason: str, request: HttpRequest | None = None) -> bool:
    """Turn 2FA off for a user who lost phone and backup codes, and end their sessions. Return False if it was off."""
    if not SecondFactor.objects.turn_off(user):
        return False
    TrustedBrowser.objects.filter(user_id=user.pk).delete()
    sessions.end_all(user)
    events.reset_by_staff(request, user, reason=reason)
    return True


def unlock(user: AbstractBaseUser, *, reason: str, request: HttpRequest | None = None) -> bool:
    """End the delay and the lock of a user's codes. Return False if 2FA is off, or codes are checked anyway."""
    second_factor = SecondFactor.objects.for_user(user)
    if second_factor is None or not second_factor.seconds_to_wait():
        return False
    second_factor.unlock()
    events.unlocked_by_staff(request, user, reason=reason)
    return True
