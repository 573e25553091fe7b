"""The way back for whoever lost phone and backup codes: staff turn 2FA off, and the owner is told."""

from typing import Any

from django.http import HttpRequest

from twofactor import events, sessions
from twofactor.models import Authenticator


def reset(user: Any, *, reason: str, request: HttpRequest | None = None) -> bool:
    """Turn this user's 2FA off without a proof and end all of their sessions; False if it was off already."""
    deleted, _ = Authenticator.objects.filter(user=user).delete()
    if not deleted:
        return False
    user.trusted_browsers.all().delete()
    sessions.end_all(user)
    events.reset_by_staff(request, user, reason=reason)
    return True
