"""Turn 2FA off for a user who lost phone and backup codes. Only staff can do this; the user is notified."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from twofactor import events, sessions
from twofactor.models import SecondFactor, TrustedBrowser


def reset(user: AbstractBaseUser, *, reason: str, request: HttpRequest | None = None) -> bool:
    """Turn 2FA off for this user without a proof, and end all their sessions. Return False if it was already off.

    `reason`: for the log, the email and the signal. `request`: that of the staff member, None from a command.
    """
    if not SecondFactor.objects.turn_off(user):
        return False
    TrustedBrowser.objects.filter(user_id=user.pk).delete()
    sessions.end_all(user)
    events.reset_by_staff(request, user, reason=reason)
    return True
