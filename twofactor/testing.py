"""Helpers for the tests of a host."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.test import Client

from twofactor import sessions
from twofactor.models import SecondFactor


def sign_in(client: Client, user: AbstractBaseUser) -> None:
    """Sign `user` in with `client.force_login()`. If their 2FA is on, mark the session as if they just typed a code."""
    client.force_login(user)  # type: ignore[arg-type] # django-stubs takes the user model of this project only
    request = HttpRequest()
    request.session = client.session
    sessions.mark(request, SecondFactor.objects.for_user(user), "code")
    request.session.save()
