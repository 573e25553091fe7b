"""What the app hangs on allauth's signals."""

from typing import Any

from twofactor.models import Authenticator


def unlock_after_password_reset(user: Any, **kwargs: Any) -> None:
    """Whoever can read the owner's mail gets the owner out of a delay that somebody else's tries caused."""
    if authenticator := Authenticator.objects.for_user(user):
        authenticator.unlock_after_password_reset()
