"""Helpers for tests of pages: clients, sign-in and codes."""

import time
from typing import Any

from django.conf import settings
from django.test import Client

from twofactor.models import AuthenticatorApp
from twofactor.tests import rfc6238
from twofactor.tests.constants import HTMX, LOGIN, PASSWORD, SECRET, SETUP, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.responses import backup_codes_on, key_shown


def new_client(*, htmx: bool = False, language: str = "en", **options: Any) -> Client:
    """Return a test client; with `htmx`, one that sends the header of htmx."""
    return Client(headers={"Accept-Language": language, **(HTMX if htmx else {})}, **options)


def give_password(client: Client, user: Any, *, password: str = PASSWORD, **fields: str) -> Any:
    return client.post(LOGIN, {"login": user.email, "password": password, **fields})


def sign_in(client: Client, user: Any, *, code: str = "") -> Client:
    """Sign in through the site's forms; `code` is for the second-factor stage."""
    give_password(client, user)
    if code:
        client.post(VERIFY_LOGIN, {"code": code})
    assert is_signed_in(client), "signing in failed"
    return client


def sign_in_with_2fa(user: Any) -> Client:
    """Turn 2FA on and return a client that signed in with a code. Every code is unused again."""
    AuthenticatorApp.objects.activate(user, secret=SECRET)
    AuthenticatorApp.objects.update(last_time_step=-1)
    client = sign_in(new_client(), user, code=code_now(SECRET))
    AuthenticatorApp.objects.update(last_time_step=-1)
    return client


def turn_on(client: Client, user: Any) -> tuple[str, list[str]]:
    """Sign in and turn 2FA on through the pages. Return the secret and the backup codes."""
    give_password(client, user)
    key = start_setup(client)
    return key, backup_codes_on(client.post(VERIFY_SETUP, {"code": code_now(key)}))


def is_signed_in(client: Client) -> bool:
    return settings.SESSION_COOKIE_NAME in client.cookies and "_auth_user_id" in client.session


def age_second_factor(client: Client, seconds: int) -> None:
    """Move the last use of the session's second factor `seconds` into the past."""
    session = client.session
    session["twofactor"] = {**session["twofactor"], "at": session["twofactor"]["at"] - seconds}
    session.save()


def age_sign_in(client: Client, seconds: int) -> None:
    """Move the start of the session's pending sign-in `seconds` into the past."""
    session = client.session
    session["account_login"]["initiated_at"] -= seconds
    session["twofactor_sign_in"]["began"] -= seconds
    session.save()


def code_now(secret: str, *, steps_ahead: int = 0) -> str:
    """Return the code of the time step that is `steps_ahead` of now. The site accepts -1, 0 and 1."""
    return rfc6238.code_at(secret, time.time() + 30 * steps_ahead)


def wrong_code(secret: str) -> str:
    """Return a code that is wrong now, even if the clock of the phone is twenty minutes off."""
    return rfc6238.wrong_code(secret, time.time())


def start_setup(client: Client, **fields: str) -> str:
    """Pass the step-up of a setup with the password, and return the key, "" if the page shows none."""
    return key_shown(client.post(SETUP, {"password": PASSWORD, **fields})) or ""


def proof(secret: str) -> dict[str, str]:
    return {"password": PASSWORD, "code": code_now(secret)}
