"""What a user does with the app in any site, with any implementation of `Browser`."""

import re
import time
from typing import Any, NamedTuple, Protocol

import pyotp

PASSWORD = "umbel-4-Quarry-thimble"
ACCOUNTS = "/accounts/"
SETTINGS = f"{ACCOUNTS}2fa/"
BACKUP_CODE = re.compile(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b")


class Page(NamedTuple):
    """The page that the browser shows, after all redirects."""

    path: str
    html: str


class Browser(Protocol):
    def get(self, path: str) -> Page: ...
    def post(self, path: str, **fields: Any) -> Page: ...


def code(secret: str, *, steps_ahead: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps_ahead)


def turn_on(browser: Browser, **proof: str) -> tuple[str, list[str]]:
    """Turn 2FA on in three steps. Return the secret and the backup codes, as the pages show them."""
    page = browser.post(f"{SETTINGS}setup/", **proof)
    assert "<svg" in page.html, page
    secret = re.search(r'data-text="([A-Z2-7]{32})"', page.html)[1]
    page = browser.post(f"{SETTINGS}verify-setup/", code=code(secret, steps_ahead=-1))
    codes = list(dict.fromkeys(BACKUP_CODE.findall(page.html)))
    assert len(codes) == 10, page
    assert "Twofactor backup codes for" in page.html
    assert is_on(browser)
    return secret, codes


def turn_off(browser: Browser, **proof: str) -> None:
    browser.post(f"{SETTINGS}disable/", **proof)
    assert not is_on(browser)


def sign_out(browser: Browser) -> None:
    browser.post(f"{ACCOUNTS}logout/")
    assert not is_signed_in(browser)


def give_password(browser: Browser, login: str) -> Page:
    return browser.post(f"{ACCOUNTS}login/", login=login, password=PASSWORD)


def give_code(browser: Browser, page: Page, **proof: str) -> None:
    """Enter the code at the stage. The browser is signed in after it, and not before."""
    assert page.path == f"{SETTINGS}verify-login/", page
    assert not is_signed_in(browser)
    browser.post(page.path, **proof)
    assert is_on(browser)


def sign_in_by_provider(browser: Browser, process: str = "login", **account: str) -> Page:
    """Sign in at allauth's dummy provider, which accepts any values; `connect` connects it to the account."""
    page = browser.post(f"{ACCOUNTS}dummy/login/?process={process}")
    action = re.search(r'action="([^"]*dummy/authenticate[^"]*)"', page.html)[1].replace("&amp;", "&")
    return browser.post(action, **account)


def is_signed_in(browser: Browser) -> bool:
    return browser.get(SETTINGS).path == SETTINGS


def is_on(browser: Browser) -> bool:
    page = browser.get(SETTINGS)
    assert page.path == SETTINGS, page
    return "Backup codes left" in page.html
