"""The setup under way. It lives in the session, sealed; it leaves no row behind."""

import time
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from twofactor import conf, limits, totp
from twofactor.crypto import Unsealable
from twofactor.htmx import way_back
from twofactor.models import Authenticator

KEY = "twofactor_setup"


@dataclass(frozen=True)
class Setup:
    secret: str
    replaces: str | None  # the version that it takes the place of; None while 2FA is off
    destination: str = ""  # where the person was going; empty for the settings


def url(request: HttpRequest) -> str:
    """The address of the setup for somebody who was going elsewhere: it ends there."""
    page = way_back(request)
    return reverse("twofactor:setup", query={"next": page} if page else None)


def begin(request: HttpRequest, authenticator: Authenticator | None, *, destination: str = "") -> Setup:
    """Start a setup, or go on with the one under way: two tabs see the same secret."""
    if under_way := resume(request, authenticator):
        return under_way
    setup = Setup(totp.new_secret(), authenticator.version if authenticator else None, destination)
    request.session[KEY] = {
        "sealed": conf.keyring().seal(setup.secret, owner=_owner(request)),
        "replaces": setup.replaces,
        "began": int(time.time()),
        "tries": 0,
        "next": destination,
    }
    return setup


def set_destination(request: HttpRequest, destination: str) -> None:
    """Let the setup under way end at this address."""
    if destination:
        request.session[KEY]["next"] = destination
        request.session.modified = True


def resume(request: HttpRequest, authenticator: Authenticator | None) -> Setup | None:
    """Return the setup under way, or None: there is none, it is over, somebody else's, or 2FA changed since."""
    state = request.session.get(KEY)
    if not state or time.time() - state["began"] > conf.SETUP_SECONDS or state["tries"] >= conf.PENDING_TRIES:
        return None
    if state["replaces"] != (authenticator.version if authenticator else None):
        return None
    try:
        secret = conf.keyring().unseal(state["sealed"], owner=_owner(request))
        return Setup(secret, state["replaces"], state.get("next", ""))
    except Unsealable:
        return None


def charge(request: HttpRequest) -> bool:
    """Reserve one of the five tries; False, and the setup is over, if there is none left."""
    state = request.session[KEY]
    open_ = limits.charge_setup(request, state["sealed"])
    state["tries"] = state["tries"] + 1 if open_ else conf.PENDING_TRIES
    request.session.modified = True
    return open_


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def _owner(request: HttpRequest) -> str:
    return f"setup:{request.user.pk}"
