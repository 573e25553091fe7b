"""The password of a signed-in user, as every form of this app asks for it. Wrong ones are counted by session."""

from typing import Any, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, logout
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor import events, limits


def is_right(request: HttpRequest, password: str) -> bool:
    """Check the signed-in user's password. Ten wrong ones in a row end the session, and the owner is told.

    Otherwise a stolen session could guess the password for as long as it lives. The end of the session is raised, as an
    ImmediateHttpResponse: allauth's middleware answers with it. Do not call this in a transaction.
    """
    user: Any = request.user
    tries = limits.PasswordTries(request)
    if not tries.charge():
        _end_session(request)
    if _check(request, user, password):
        tries.clear()
        return True
    events.password_refused(request, user)
    if tries.are_used_up:
        is_first = tries.claim_end()  # of several that were checked at once
        _end_session(request, tell=is_first)
    return False


def _check(request: HttpRequest, user: Any, password: str) -> bool:
    """Check the password. If that replaces an outdated hash, bind this session to the new one, or it would end."""
    before = user.get_session_auth_hash()
    is_password = user.check_password(password)
    if (now := user.get_session_auth_hash()) != before:
        request.session[HASH_SESSION_KEY] = now
    return is_password


def _end_session(request: HttpRequest, *, tell: bool = False) -> NoReturn:
    user = request.user
    logout(request)
    messages.error(request, _("Too many wrong passwords. Please sign in again."))
    if tell:
        events.wrong_passwords(request, user)
    raise ImmediateHttpResponse(redirect(settings.LOGIN_URL))
