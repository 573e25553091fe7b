"""The setup in progress. It is stored in the session, with the secret sealed, and not in the database."""

import time
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from twofactor import conf, limits, totp
from twofactor.crypto import Unsealable
from twofactor.htmx import return_path
from twofactor.models import SecondFactor
from twofactor.refusals import Refused

KEY = "twofactor_setup"


@dataclass(frozen=True)
class Setup:
    secret: str
    replaces: str  # the version of 2FA at its start, "" if 2FA was off
    destination: str = ""  # where to go afterwards; "" for the settings page


def url(request: HttpRequest, urlname: str = "twofactor:setup") -> str:
    """Return the URL of a setup. Afterwards it redirects to the page that this request asked for."""
    page = return_path(request)
    return reverse(urlname, query={"next": page} if page else None)


def begin(request: HttpRequest, second_factor: SecondFactor | None, *, destination: str = "") -> Setup:
    """Return the setup in progress, or start one. Two tabs therefore show the same secret.

    `destination`: the URL to go to afterwards, "" for the one that an earlier request gave.
    """
    if in_progress := resume(request, second_factor):
        if destination:
            request.session[KEY]["next"] = destination
            request.session.modified = True
        return in_progress
    setup = Setup(totp.new_secret(), _version(second_factor), destination)
    request.session[KEY] = {
        "sealed": conf.keyring().seal(setup.secret, owner=_owner(request)),
        "replaces": setup.replaces,
        "began": int(time.time()),
        "next": destination,
    }
    return setup


def resume(request: HttpRequest, second_factor: SecondFactor | None) -> Setup | None:
    """Return the setup in progress, or None if there is none, it has expired, or 2FA has changed."""
    state = request.session.get(KEY)
    if not state or time.time() - state["began"] > conf.SETUP_SECONDS:
        return None
    if state["replaces"] != _version(second_factor):
        return None
    try:
        secret = conf.keyring().unseal(state["sealed"], owner=_owner(request))
        return Setup(secret, state["replaces"], state.get("next", ""))
    except Unsealable:  # another user signed in, or the key was removed
        return None


def prove(request: HttpRequest, setup: Setup, code: str, *, now: float) -> int:
    """Return the time step of this code of the setup's secret. Raise Refused if it is wrong or not checked.

    Charge the source and the setup before the check. Five wrong codes end the setup.
    """
    source, tries = limits.codes_of_source(request), limits.setup(request.session[KEY]["sealed"])
    if not source.charge():
        raise Refused("source", source.wait())
    step = None
    if tries.charge():
        step = totp.match_time_step(setup.secret, code, around=totp.time_step_at(now), drift_window=conf.drift_window())
    if step is not None:
        limits.give_back(source)
        return step
    if tries.left():
        raise Refused("wrong")
    forget(request)
    raise Refused("ended")


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def _version(second_factor: SecondFactor | None) -> str:
    return second_factor.version if second_factor else ""


def _owner(request: HttpRequest) -> str:
    return f"setup:{request.user.pk}"
