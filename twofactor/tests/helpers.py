# ruff: noqa: F405
"""Helpers for tests of pages: clients, sign-in, codes, and the content of responses."""

import time
from html.parser import HTMLParser
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client

from twofactor import limits
from twofactor.models import Authenticator
from twofactor.tests import rfc6238
from twofactor.tests.constants import *  # noqa: F403

NOW = 2_000_000_000
HTMX = {"HX-Request": "true"}  # the header of htmx

UNKNOWN_BACKUP_CODE = "0000-0000-0000-0000"
MALFORMED_CODES = ["12345", "1234567", "abcdef", "¹²³⁴⁵⁶", "\0" * 6, "\ud800" * 6, "1" * 3_000_000]


def run_on_commit() -> None:
    """Run the callbacks that wait for the commit, such as emails. A test runs in a transaction that never commits."""
    while connection.run_on_commit:
        connection.run_on_commit.pop(0)[1]()


# --- Clients and sign-in --------------------------------------------------------------------------


def new_client(*, htmx: bool = False, language: str = "en", **options: Any) -> Client:
    """Return a test client; with `htmx`, one that sends the header of htmx."""
    own = {"HX-Request": "true"} if htmx else {}
    return Client(headers={"Accept-Language": language, **own}, **options)


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
    Authenticator.objects.activate(user, secret=SECRET)
    Authenticator.objects.update(last_time_step=-1)
    client = sign_in(new_client(), user, code=code_now(SECRET))
    Authenticator.objects.update(last_time_step=-1)
    return client


def turn_on(client: Client, user: Any) -> tuple[str, list[str]]:
    """Sign in and turn 2FA on through the pages. Return the secret and the backup codes."""
    give_password(client, user)
    key = client.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
    return key, backup_codes_on(client.post(VERIFY_SETUP, {"code": code_now(key)}))


def is_signed_in(client: Client) -> bool:
    return settings.SESSION_COOKIE_NAME in client.cookies and "_auth_user_id" in client.session


def age_second_factor(client: Client, seconds: int) -> None:
    """Move the last use of the session's second factor `seconds` into the past."""
    session = client.session
    session["twofactor"] = {**session["twofactor"], "at": session["twofactor"]["at"] - seconds}
    session.save()


def age_pending_sign_in(client: Client, seconds: int) -> None:
    """Move the start of the session's pending sign-in `seconds` into the past."""
    session = client.session
    session["account_login"]["initiated_at"] -= seconds
    session["twofactor_sign_in"]["began"] -= seconds
    session.save()


# --- Codes ----------------------------------------------------------------------------------------


def code_now(secret: str, *, steps_ahead: int = 0) -> str:
    """Return the code of the time step that is `steps_ahead` of now. The site accepts -1, 0 and 1."""
    return rfc6238.code_at(secret, time.time() + 30 * steps_ahead)


def wrong_code(secret: str) -> str:
    """Return a code that is wrong now, even if the clock of the phone is twenty minutes off."""
    return rfc6238.wrong_code(secret, time.time())


# --- Setup ----------------------------------------------------------------------------------------


def key_shown(response: Any) -> str | None:
    """Return the key on the setup page without its spaces, or None."""
    return response.context["key"].replace(" ", "") if response.context.get("key") else None


def start_setup(client: Client, **fields: str) -> str | None:
    """Pass the step-up of a setup with the password, and return the key."""
    return key_shown(client.post(SETUP, {"password": PASSWORD, **fields}))


# --- Responses ------------------------------------------------------------------------------------


def errors(response: Any) -> dict[str, list[str]]:
    """Return the error codes of the response's form, by field."""
    return error_codes(response.context["form"])


def redirect_target(response: Any) -> str:
    """Return the URL of a redirect or an HX-Redirect, or "" for any other response."""
    if response.status_code == 204:
        return response["HX-Redirect"]
    return response["Location"] if 300 <= response.status_code < 400 else ""


def is_full_page(response: Any) -> bool:
    return b"<html" in response.content


def backup_codes_on(response: Any) -> list[str]:
    return list(dict.fromkeys(BACKUP_CODE.findall(response.content.decode())))


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "input" and (name := named.get("name")):
            self.found[name] = named


def inputs(response: Any) -> dict[str, dict[str, str | None]]:
    """Return the named inputs of the page with their attributes."""
    parser = _Inputs()
    parser.feed(response.content.decode())
    return parser.found


def message_levels(response: Any) -> list[str]:
    return [message.level_tag for message in response.context["messages"]]


def messages_on(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- Forms and limits -----------------------------------------------------------------------------


def error_codes(form: Any) -> dict[str, list[str]]:
    return {name: [error.code for error in each] for name, each in form.errors.as_data().items()}


def tries_left(request: Any) -> int:
    """Use up the tries of the request's source, and return how many were left."""
    return sum(1 for _ in range(25) if limits.codes_of_source(request).charge())
