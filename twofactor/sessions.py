"""The mark of the second factor in a session, and the end of a user's other sessions."""

import time

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseSession
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest
from django.utils import timezone

from twofactor.models import SecondFactor

KEY = "twofactor"
TRUSTED_BROWSER = "trusted browser"  # instead of a method: the user proved nothing


def mark(request: HttpRequest, second_factor: SecondFactor | None, method: str = "") -> None:
    """Record in the session that the user proved the second factor: version, method and time."""
    if second_factor is None:
        request.session.pop(KEY, None)
    else:
        request.session[KEY] = {"version": second_factor.version, "method": method, "at": int(time.time())}


def is_marked(request: HttpRequest, second_factor: SecondFactor | None) -> bool:
    """Return whether the session has the current version of the user's 2FA, or no mark if 2FA is off."""
    version: str | None = request.session.get(KEY, {}).get("version")
    return version == (second_factor.version if second_factor else None)


def used_recently(
    request: HttpRequest,
    second_factor: SecondFactor | None,
    *,
    within: float,
    only: str = "",
    now: float | None = None,
) -> bool:
    """Return whether a second factor was accepted in this session in the last `within` seconds.

    `only`: the key of the one method that counts.

    `now` is in seconds since 1970; the default is the current time. A trusted browser does not count.
    """
    now = time.time() if now is None else now
    state = request.session.get(KEY, {})
    if second_factor is None or not is_marked(request, second_factor):
        return False
    used = state["method"]
    is_proof = used not in ("", TRUSTED_BROWSER) and used == (only or used)
    return is_proof and now - state["at"] <= within


def renew(request: HttpRequest, second_factor: SecondFactor | None, method: str = "") -> None:
    """After a change of 2FA, give this session a new key and mark, and end the user's other sessions.

    Call this in the transaction of the change. Otherwise a request from another tab could find the old mark, end this
    session, and lose the only page that shows the backup codes. Raise SessionInterrupted if the session has ended.
    Sessions in allauth's list end at once; others end at their next request, because their mark has an old version.
    """
    record_use(request, second_factor, method)
    end_all(request.user, except_key=request.session.session_key)


def record_use(request: HttpRequest, second_factor: SecondFactor | None, method: str = "") -> None:
    """Mark the session after the second factor was proved, and change its key against session fixation.

    Raise SessionInterrupted if the session has ended.
    """
    old_key = request.session.session_key
    request.session.cycle_key()
    mark(request, second_factor, method)
    try:
        request.session.save()
    except UpdateError:
        raise SessionInterrupted("Signed out meanwhile.") from None
    update_session_list(request, old_key)


def update_session_list(request: HttpRequest, old_key: str | None) -> None:
    """Write the session's new key to its row in allauth's list of sessions, if there is one."""
    if apps.is_installed("allauth.usersessions"):
        from allauth.usersessions.models import UserSession

        UserSession.objects.filter(session_key=old_key).update(session_key=request.session.session_key)


def end_all(user: AbstractBaseUser | AnonymousUser, *, except_key: str | None = None) -> None:
    """End the user's sessions that are in allauth's list, except the one with the key `except_key`."""
    if apps.is_installed("allauth.usersessions"):
        from allauth.usersessions.models import UserSession

        for session in UserSession.objects.filter(user_id=user.pk).exclude(session_key=except_key):
            session.end()


def count_others(request: HttpRequest) -> int:
    """Count the user's other sessions in allauth's list, without those that have ended; 0 if there is no list.

    Only a session store with a table of its own can tell by one statement which sessions have ended.
    """
    if not apps.is_installed("allauth.usersessions"):
        return 0
    from allauth.usersessions.models import UserSession

    listed = UserSession.objects.filter(user_id=request.user.pk).exclude(session_key=request.session.session_key)
    if isinstance(request.session, DatabaseSession):
        live = request.session.model.objects.filter(expire_date__gt=timezone.now())
        listed = listed.filter(session_key__in=live.values("session_key"))
    others: int = listed.count()
    return others
