"""The setup under way. It lives in the session, sealed; it leaves no row behind."""

import time
from dataclasses import dataclass

from django.http import HttpRequest

from twofactor import conf, limits, totp
from twofactor.crypto import Unsealable
from twofactor.models import Authenticator

KEY = "twofactor_setup"


@dataclass(frozen=True)
class Setup:
    secret: str
    replaces: str | None  # the version that it takes the place of; None while 2FA is off


def begin(request: HttpRequest, authenticator: Authenticator | None) -> Setup:
    """Start a setup, or go on with the one under way: two tabs see the same secret."""
    if under_way := resume(request, authenticator):
        return under_way
    setup = Setup(totp.new_secret(), authenticator.version if authenticator else None)
    request.session[KEY] = {
        "sealed": conf.keyring().seal(setup.secret, owner=_owner(request)),
        "replaces": setup.replaces,
        "began": int(time.time()),
        "tries": 0,
    }
    return setup


def resume(request: HttpRequest, authenticator: Authenticator | None) -> Setup | None:
    """Return the setup under way, or None: there is none, it is over, somebody else's, or 2FA changed since."""
    state = request.session.get(KEY)
    if not state or time.time() - state["began"] > conf.SETUP_SECONDS or state["tries"] >= conf.PENDING_TRIES:
        return None
    if state["replaces"] != (authenticator.version if authenticator else None):
        return None
    try:
        return Setup(conf.keyring().unseal(state["sealed"], owner=_owner(request)), state["replaces"])
    except Unsealable:
        return None


def charge(request: HttpRequest) -> bool:
    """Reserve one of the five tries; False, and the setup is over, if there is none left."""
    state = request.session[KEY]
    open_ = limits.setup_try(request, state["sealed"])
    state["tries"] = state["tries"] + 1 if open_ else conf.PENDING_TRIES
    request.session.modified = True
    return open_


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def _owner(request: HttpRequest) -> str:
    return f"setup:{request.user.pk}"
