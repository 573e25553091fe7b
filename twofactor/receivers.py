"""What the app hangs on allauth's signals."""

from typing import Any

from twofactor.models import Authenticator


def open_after_reset(user: Any, **kwargs: Any) -> None:
    """Whoever can read the owner's mail gets the owner out of a delay that somebody else's tries caused."""
    if authenticator := Authenticator.objects.for_user(user):
        authenticator.forgive_after_reset()
