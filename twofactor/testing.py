"""For a host's own tests: sign a user in past the second factor."""

from typing import Any

from django.http import HttpRequest
from django.test import Client

from twofactor import sessions
from twofactor.models import Authenticator


def sign_in(client: Client, user: Any) -> None:
    """Call `client.force_login()`, and mark the session as after a code typed now where the user's 2FA is on."""
    client.force_login(user)
    request = HttpRequest()
    request.session = client.session
    sessions.mark(request, Authenticator.objects.for_user(user), "code")
    request.session.save()
