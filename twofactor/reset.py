"""Turn 2FA off for a user who lost phone and backup codes. Only staff can do this; the user is notified."""

from typing import Any

from django.http import HttpRequest

from twofactor import events, sessions
from twofactor.models import SecondFactor


def reset(user: Any, *, reason: str, request: HttpRequest | None = None) -> bool:
    """Turn 2FA off for this user without a proof, and end all their sessions. Return False if it was already off.

    `reason`: for the log, the email and the signal. `request`: that of the staff member, None from a command.
    """
    if not SecondFactor.objects.turn_off(user):
        return False
    user.trusted_browsers.all().delete()
    sessions.end_all(user)
    events.reset_by_staff(request, user, reason=reason)
    return True
