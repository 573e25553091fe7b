"""Check the password of a signed-in user. Wrong ones are counted per session."""

from typing import NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, limits


def is_right(request: HttpRequest, password: str) -> bool:
    """Return whether this is the signed-in user's password.

    Ten wrong ones in a row end the session and notify the owner. Otherwise a stolen session could be used to guess the
    password. The end of the session raises ImmediateHttpResponse, which allauth's middleware turns into the response.
    Do not call this in a transaction.
    """
    user: AbstractBaseUser = request.user  # type: ignore[assignment] # signed in
    tries = limits.passwords_of_session(request.session.session_key)
    if not tries.charge():
        _end_session(request, user)
    if _check(request, user, password):
        tries.clear()
        return True
    events.password_refused(request, user)
    if not tries.left():
        is_first = limits.session_end(request.session.session_key).charge()  # parallel requests may all get here
        _end_session(request, user, notify_owner=is_first)
    return False


def _check(request: HttpRequest, user: AbstractBaseUser, password: str) -> bool:
    """Check the password. If that upgrades an outdated hash, bind this session to the new hash, to keep it valid."""
    old_hash = user.get_session_auth_hash()
    is_password = user.check_password(password)
    new_hash = user.get_session_auth_hash()
    if new_hash != old_hash:
        request.session[HASH_SESSION_KEY] = new_hash
    return is_password


def _end_session(request: HttpRequest, user: AbstractBaseUser, *, notify_owner: bool = False) -> NoReturn:
    logout(request)
    messages.error(request, _("Too many wrong passwords. Please sign in again."))
    if notify_owner:
        events.wrong_passwords(request, user)
    raise ImmediateHttpResponse(redirect(settings.LOGIN_URL))
