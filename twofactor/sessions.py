"""What a signed-in session says of the second factor, and how the other sessions of its user end."""

import time
from typing import Any

from django.apps import apps
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest

from twofactor.models import Authenticator

KEY = "twofactor"
TYPED = ("code", "backup")  # the methods that say that somebody typed a second factor; a trusted browser is none


def mark(request: HttpRequest, authenticator: Authenticator | None, method: str = "") -> None:
    """Say that this session's user proved the second factor: against which version, by which method, when."""
    if authenticator is None:
        request.session.pop(KEY, None)
    else:
        request.session[KEY] = {"version": authenticator.version, "method": method, "at": int(time.time())}


def is_marked(request: HttpRequest, authenticator: Authenticator | None) -> bool:
    """True if the session's mark fits the user's 2FA as it is now: the same version, or none where it is off."""
    version = request.session.get(KEY, {}).get("version")
    return version == (authenticator.version if authenticator else None)


def used_recently(
    request: HttpRequest, authenticator: Authenticator | None, *, within: float, now: float | None = None
) -> bool:
    """True if a code or backup code was typed in this session, and accepted, at most so many seconds ago."""
    now = time.time() if now is None else now
    state = request.session.get(KEY, {})
    was_typed = authenticator is not None and is_marked(request, authenticator) and state.get("method") in TYPED
    return was_typed and now - state["at"] <= within


def renew(request: HttpRequest, authenticator: Authenticator | None, method: str = "") -> None:
    """After a change of 2FA: this session goes on under a new key, all others of its user end.

    Call it in the transaction of the change. Between the two another tab would find a mark that no longer fits,
    end this session, and with it the one answer that shows the backup codes. SessionInterrupted if it is gone.
    A mark that no longer fits ends them at their next request; allauth's list of sessions ends them now.
    """
    record_use(request, authenticator, method)
    end_all(request.user, but=request.session.session_key)


def record_use(request: HttpRequest, authenticator: Authenticator | None, method: str = "") -> None:
    """The second factor was proved: this session says so, under a new key. SessionInterrupted if it is gone."""
    old = request.session.session_key
    request.session.cycle_key()
    mark(request, authenticator, method)
    try:
        request.session.save()
    except UpdateError:
        raise SessionInterrupted("Signed out meanwhile.") from None
    update_session_list(request, old)


def update_session_list(request: HttpRequest, old: str | None) -> None:
    """The session goes on under a new key: so does its row in allauth's list, if there is one."""
    if apps.is_installed("allauth.usersessions"):
        from allauth.usersessions.models import UserSession

        UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)


def end_all(user: Any, *, but: str | None = None) -> None:
    """End the user's sessions now, as far as allauth keeps a list of them."""
    if apps.is_installed("allauth.usersessions"):
        from allauth.usersessions.models import UserSession

        for session in UserSession.objects.filter(user_id=user.pk).exclude(session_key=but):
            session.end()
