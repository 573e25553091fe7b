"""Receivers of allauth's signals."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.http import HttpRequest

from accounts import confirmation, password_limits
from accounts.models import User
from twofactor import known_browsers


def create_user_session(request: HttpRequest, **kwargs: Any) -> None:
    """Create the row for the list of sessions. The list deletes rows of ended sessions."""
    adapter = get_adapter()
    UserSession.objects.create(
        user_id=request.user.pk,
        session_key=request.session.session_key,
        ip=adapter.get_client_ip(request),
        user_agent=adapter.get_http_user_agent(request)[: UserSession._meta.get_field("user_agent").max_length],
    )


def clear_wrong_passwords(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """After a password reset, clear the limits of wrong passwords for this browser and for unknown browsers."""
    for browser in {"", known_browsers.browser_id(request, user)}:
        password_limits.of_account(user, browser).clear()


def forget_awaited_address(request: HttpRequest, **kwargs: Any) -> None:
    """Remove from the session what was typed at sign-up."""
    confirmation.forget(request)


def restore_session_age(request: HttpRequest, **kwargs: Any) -> None:
    """Undo the early expiry of the pending sign-in, which `LoginForm.login` sets."""
    request.session.set_expiry(None)
