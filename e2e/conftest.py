"""A real browser and a live server. A console error, a CSP violation or a request to another site fails the test."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright, Request, WebError

from accounts.models import User
from conftest import PASSWORD
from e2e.browser import launch_options
from e2e.phone import Phone
from twofactor.models import Authenticator

# Panels are swapped with these statuses, and Chromium logs each of them as an error.
EXPECTED = {403, 422, 429}
STATUS_LINE = re.compile(
    r"(?:Failed to load resource: the server responded with a status of|Response Status Error Code) (\d{3})"
)
# A request without a response is status 0.
LOST_LINE = re.compile(r"Failed to load resource: net::ERR_|htmx:(sendError|sendAbort|afterRequest)\b")
# Chromium logs most violations. This adds the directive, and logs the others.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`));
"""


# --- The browser and the server -------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], playwright: Playwright) -> dict[str, Any]:
    try:
        return browser_type_launch_args | launch_options(playwright)
    except LookupError as error:
        message = f"{error}\n`python3 dev.py test` installs one."
        raise pytest.fail.Exception(message, pytrace=False) from None


@pytest.fixture(scope="session")
def base_url(live_server: Any) -> str:
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Turn animations off: a screenshot then shows the final state of the page."""
    return browser_context_args | {"reduced_motion": "reduce"}


@pytest.fixture(autouse=True)
def site_settings(settings: Any, base_url: str, transactional_db: None) -> None:
    """Make links in emails lead to the live server, and turn allauth's rate limits off."""
    settings.SITE_URL = settings.TWOFACTOR_SITE_URL = base_url
    settings.ACCOUNT_RATE_LIMITS = False


# --- The console ----------------------------------------------------------------------------------


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Make browser contexts whose console is recorded. Fail the test if the console is not empty."""
    marker = request.node.get_closest_marker("expected_status")
    expected = EXPECTED.union(marker.args if marker else ())
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        status = STATUS_LINE.match(message.text)
        is_expected = int(status[1]) in expected if status else 0 in expected and LOST_LINE.match(message.text)
        # "[DOM]" starts a hint, such as "Password forms should have username fields". The headless shell logs none.
        is_problem = message.type in ("error", "warning") or message.text.startswith("[DOM]")
        if is_problem and not is_expected:
            problems.append(f"{message.type}: {message.text} ({message.location['url']})")

    def on_request(made: Request) -> None:
        if not made.url.startswith(("http://localhost:", "http://127.0.0.1:", "blob:")):
            problems.append(f"request to another site: {made.method} {made.url}")

    def on_error(error: WebError) -> None:
        problems.append(f"uncaught: {error.error.message}")

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        # Milliseconds. Enough on loopback, and a failing test ends soon.
        context.set_default_timeout(10_000)
        context.on("console", on_console)
        context.on("request", on_request)
        context.on("weberror", on_error)
        context.add_init_script(REPORT_VIOLATIONS)
        contexts.append(context)
        return context

    yield make
    for page in [page for context in contexts for page in context.pages]:
        # Console messages sent before this call have arrived when it returns.
        page.evaluate("0")
    if problems:
        pytest.fail("\n".join(["The browser's console is not empty:", *problems]), pytrace=False)


# --- Users ----------------------------------------------------------------------------------------


@pytest.fixture
def phone(authenticator: Authenticator, secret: str) -> Phone:
    """Turn 2FA on for the user, and return their phone."""
    return Phone(secret)


@pytest.fixture
def signed_in(page: Page, user: User, base_url: str) -> Page:
    """Sign the user in, with 2FA off, and return a blank page."""
    page.context.add_cookies(signed_in_cookies(user, base_url))
    return page


@pytest.fixture
def signed_in_with_code(page: Page, user: User, phone: Phone, base_url: str) -> Page:
    """Sign the user in with a code, mark all codes as unused, and return a blank page."""
    page.context.add_cookies(signed_in_cookies(user, base_url, code=phone.code()))
    Authenticator.objects.update(last_time_step=-1)
    return page


def signed_in_cookies(user: User, url: str, *, code: str = "") -> list[Any]:
    """Sign in by Django's test client, which is faster than the browser, and return its cookies."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    if code:
        client.post("/accounts/2fa/verify-login/", {"code": code})
    assert "_auth_user_id" in client.session, "signing in failed"
    return [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
