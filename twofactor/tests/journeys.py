"""What a user does in a browser, over HTTP: functions of an `httpx.Client` that follows no redirects."""

import html
import itertools
import re
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from twofactor.tests import rfc6238
from twofactor.tests.constants import (
    BACKUP_CODE,
    DISABLE,
    LOGIN,
    LOGOUT,
    PASSWORD,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)

KEY = re.compile(r'data-text="([A-Z2-7]{32})"')
_numbers = itertools.count(1)
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # empty: reading the certificates takes 20 ms
# One pool for all clients, without keep-alive. twofactor.tests.hosts replaces it by a site in its own process.
LIMITS = httpx.Limits(max_keepalive_connections=0, max_connections=None)
TRANSPORT: httpx.BaseTransport = httpx.HTTPTransport(verify=NO_CERTIFICATES, limits=LIMITS)


@dataclass
class SiteUser:
    pk: int
    email: str  # or the user name, on a site where users sign in by name
    secret: str = ""
    backup_codes: list[str] = field(default_factory=list)

    def code(self, *, steps_ahead: int = 0) -> str:
        return rfc6238.code_at(self.secret, time.time() + 30 * steps_ahead)

    def wrong_code(self, number: int = 0) -> str:
        """Return six digits that are not a code within 22 minutes of now. Each number gives another code."""
        return rfc6238.wrong_code(self.secret, time.time(), number=number)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def new_address() -> str:
    number = next(_numbers)
    return f"198.{18 + number // 62_500 % 2}.{number // 250 % 250}.{number % 250 + 1}"


def new_client(base_url, *, cookies=None, transport=None) -> httpx.Client:
    """Return a client with its own IP address, in X-Forwarded-For.

    Django accepts any CSRF token that is equal in cookie and form, so no form has to be requested first.
    """
    headers = {"X-Forwarded-For": new_address()}
    client = httpx.Client(base_url=base_url, headers=headers, timeout=60, transport=transport or TRANSPORT)
    # The domain of the site's own cookies: httpx would keep one without a domain beside them.
    domain = "localhost.local" if client.base_url.host == "localhost" else client.base_url.host
    for name, value in {"csrftoken": secrets.token_hex(16), **(cookies or {})}.items():
        client.cookies.set(name, value, domain=domain)
    return client


def copy_of(client: httpx.Client) -> httpx.Client:
    """Return another client with the same cookies, like a second tab or a stolen session."""
    return new_client(str(client.base_url), cookies=dict(client.cookies))


def post(client: httpx.Client, path: str, fields: Mapping[str, str] | None = None) -> httpx.Response:
    """Post these fields with the CSRF token."""
    return client.post(path, data={"csrfmiddlewaretoken": client.cookies.get("csrftoken", ""), **(fields or {})})


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
    return copy_of(client).get(SETTINGS).status_code == 200


def has_pending_sign_in(client: httpx.Client) -> bool:
    return copy_of(client).get(VERIFY_LOGIN).status_code == 200


def start_setup(client: httpx.Client, **proof: str) -> str:
    """Return the key that the setup shows, or an empty string if it refuses the proof."""
    return key_on(post(client, SETUP, {"password": PASSWORD, **proof}))


def confirm_setup(client: httpx.Client, user: SiteUser, *, steps_ahead: int = 0) -> httpx.Response:
    return post(client, VERIFY_SETUP, {"code": user.code(steps_ahead=steps_ahead)})


def turn_on(client: httpx.Client, user: SiteUser, *, steps_ahead: int = 0, **proof: str) -> SiteUser:
    """Turn 2FA on, or change the phone. The user gets the new secret and the new backup codes."""
    user.secret = start_setup(client, **proof)
    user.backup_codes = backup_codes_on(confirm_setup(client, user, steps_ahead=steps_ahead))
    assert len(user.backup_codes) == 10
    return user


def pass_stage(client: httpx.Client, **proof: str) -> None:
    """Submit a code or backup code at the stage. The client is signed in after it, and not before."""
    assert has_pending_sign_in(client)
    assert not is_signed_in(client)
    post(client, VERIFY_LOGIN, proof)
    assert is_signed_in(client)


def turn_off(client: httpx.Client, **proof: str) -> None:
    assert "Two-factor authentication is on" in copy_of(client).get(SETTINGS).text
    post(client, DISABLE, proof)
    assert is_signed_in(client)
    assert "Two-factor authentication is on" not in copy_of(client).get(SETTINGS).text


def sign_out(client: httpx.Client) -> None:
    post(client, LOGOUT)
    assert not is_signed_in(client)


def sign_in_by_provider(client: httpx.Client, account: Mapping[str, str], *, process: str = "login") -> httpx.Response:
    """Sign in at allauth's dummy provider, which accepts any values; `connect` connects it to the user's account."""
    form = client.get(redirect_target(post(client, f"/accounts/dummy/login/?process={process}")))
    action = re.search(r'action="([^"]*dummy/authenticate[^"]*)"', form.text)
    assert action, form.text
    return post(client, html.unescape(action[1]), account)
