"""Adding a passkey, between the step-up and the browser's answer. The session remembers the step-up for 15 minutes."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import HttpRequest

from twofactor import conf, sessions
from twofactor.models import Passkey, SecondFactor
from twofactor.passkey_form import PasskeyForm

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

KEY = "twofactor_passkey_setup"


@dataclass(frozen=True)
class Setup:
    destination: str  # where to go afterwards; "" for the settings page


def begin(request: HttpRequest, second_factor: SecondFactor | None, *, destination: str) -> None:
    """Begin after a step-up."""
    request.session[KEY] = {
        "user": str(request.user.pk),
        "version": _version(second_factor),
        "began": int(time.time()),
        "next": destination,
    }


def resume(request: HttpRequest, second_factor: SecondFactor | None) -> Setup | None:
    """Return what is in progress, or None if there is nothing, it has expired, or 2FA has changed."""
    state = request.session.get(KEY)
    if not state or time.time() - state["began"] > conf.SETUP_SECONDS:
        return None
    if (state["user"], state["version"]) != (str(request.user.pk), _version(second_factor)):
        return None
    return Setup(state["next"])


def complete(request: HttpRequest, user: "_User", passkey: Passkey) -> list[str]:
    """Store the passkey, mark this session and end the others.

    Return new backup codes in clear if this turned 2FA on, or there were none. Raise Refused if the passkey cannot be
    stored, and ChangedMeanwhile if another request changed 2FA.
    """
    with transaction.atomic():
        codes = Passkey.objects.add(user, passkey)
        forget(request)
        sessions.renew(request, SecondFactor.objects.for_user(user), PasskeyForm.key)
    return codes


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def _version(second_factor: SecondFactor | None) -> str:
    return second_factor.version if second_factor else ""
