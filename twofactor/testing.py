"""Helpers for the tests of a host."""

from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.test import Client

from twofactor import sessions
from twofactor.models import SecondFactor

if TYPE_CHECKING:
    from django.contrib.auth.models import _User


def sign_in(client: Client, user: "_User") -> None:
    """Sign `user` in with `client.force_login()`. If their 2FA is on, mark the session as if they just typed a code."""
    client.force_login(user)
    request = HttpRequest()
    request.session = client.session
    sessions.mark(request, SecondFactor.objects.for_user(user), "code")
    request.session.save()
