# ruff: noqa: F405
"""What a user does in a browser, over HTTP: functions of an `httpx.Client` that follows no redirects."""

import html
import itertools
import re
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from twofactor.tests import rfc6238
from twofactor.tests.constants import *  # noqa: F403

KEY = re.compile(r'data-text="([A-Z2-7]{32})"')
_numbers = itertools.count(1)
# One pool for all clients, without keep-alive. An empty SSL context, because reading the certificates takes 20 ms.
TRANSPORT = httpx.HTTPTransport(
    verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    limits=httpx.Limits(max_keepalive_connections=0, max_connections=None),
)


@dataclass
class SiteUser:
    pk: int
    email: str
    secret: str = ""
    backup_codes: list[str] = field(default_factory=list)

    def code(self, *, steps_ahead: int = 0) -> str:
        return rfc6238.code_at(self.secret, time.time() + 30 * steps_ahead)

    def wrong_code(self, number: int = 0) -> str:
        """Return six digits that are not a code within 22 minutes of now. Each number gives another code."""
        return rfc6238.wrong_code(self.secret, time.time(), number=number)


# --- Clients --------------------------------------------------------------------------------------


def new_address() -> str:
    number = next(_numbers)
    return f"198.{18 + number // 62_500 % 2}.{number // 250 % 250}.{number % 250 + 1}"


def new_client(base_url: str, *, htmx: bool = False, cookies: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client with its own IP address, in X-Forwarded-For.

    Django accepts any CSRF token that is equal in cookie and form, so no form has to be requested first.
    """
    headers = {"X-Forwarded-For": new_address(), **({"HX-Request": "true"} if htmx else {})}
    token = {"csrftoken": secrets.token_hex(16)} if cookies is None else dict(cookies)
    client = httpx.Client(base_url=base_url, headers=headers, timeout=60, transport=TRANSPORT)
    for name, value in token.items():
        # The domain of the site's own cookies: httpx would keep one without a domain beside them.
        client.cookies.set(name, value, domain=client.base_url.host)
    return client


def copy_of(client: httpx.Client) -> httpx.Client:
    """Return another client with the same cookies, like a second tab or a stolen session."""
    return new_client(str(client.base_url), cookies=dict(client.cookies))


def post(client: httpx.Client, path: str, fields: Mapping[str, str] | None = None) -> httpx.Response:
    """Post these fields with the CSRF token."""
    return client.post(path, data={"csrfmiddlewaretoken": client.cookies.get("csrftoken", ""), **(fields or {})})


# --- Responses ------------------------------------------------------------------------------------


def redirect_target(page: httpx.Response) -> str:
    return page.headers.get("HX-Redirect") or page.headers.get("Location") or ""


def visible_text(page: httpx.Response) -> str:
    return html.unescape(" ".join(re.sub("<[^>]*>", " ", page.text).split()))


def backup_codes_on(page: httpx.Response) -> list[str]:
    return list(dict.fromkeys(BACKUP_CODE.findall(visible_text(page))))


def key_on(page: httpx.Response) -> str:
    """Return the setup key, or an empty string if the page shows none."""
    found = KEY.search(page.text)
    return found[1] if found else ""


# --- Journeys -------------------------------------------------------------------------------------


def give_password(client: httpx.Client, user: SiteUser, *, password: str = PASSWORD) -> httpx.Response:
    return post(client, LOGIN, {"login": user.email, "password": password})


def give_code(client: httpx.Client, code: str) -> httpx.Response:
    return post(client, VERIFY_LOGIN, {"code": code})


def give_backup_code(client: httpx.Client, code: str) -> httpx.Response:
    return post(client, VERIFY_LOGIN, {"backup_code": code})


def begin_sign_in(client: httpx.Client, user: SiteUser) -> httpx.Client:
    """Submit the password. Raise AssertionError if the code form does not follow."""
    page = give_password(client, user)
    assert redirect_target(page) == VERIFY_LOGIN, page.text
    return client


def sign_in(client: httpx.Client, user: SiteUser, **proof: str) -> httpx.Client:
    """Submit the password, and the code or backup code if given. Raise AssertionError if it does not sign in."""
    pages = [give_password(client, user)]
    if proof:
        pages.append(post(client, VERIFY_LOGIN, proof))
    assert is_signed_in(client), [page.text for page in pages]
    return client


def is_signed_in(client: httpx.Client) -> bool:
    return copy_of(client).get(CHANGE_PASSWORD).status_code == 200


def has_pending_sign_in(client: httpx.Client) -> bool:
    return copy_of(client).get(VERIFY_LOGIN).status_code == 200


def start_setup(client: httpx.Client, **proof: str) -> str:
    """Return the key that the setup shows, or an empty string if it refuses the proof."""
    return key_on(post(client, SETUP, {"password": PASSWORD, **proof}))


def confirm_setup(client: httpx.Client, user: SiteUser) -> list[str]:
    """Submit a code of the user's key, and return the backup codes."""
    return backup_codes_on(post(client, VERIFY_SETUP, {"code": user.code()}))


def turn_on(client: httpx.Client, user: SiteUser, **proof: str) -> SiteUser:
    """Turn 2FA on, or change the phone. The user gets the new secret and the new backup codes."""
    user.secret = start_setup(client, **proof)
    user.backup_codes = confirm_setup(client, user)
    assert len(user.backup_codes) == 10
    return user
