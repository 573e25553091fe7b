"""A real browser against a live server; every test fails on a console error, a CSP violation, or a foreign request."""

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

# The panel is swapped with these too, and Chromium writes a line for each.
EXPECTED = {403, 422, 429}
STATUS_LINE = re.compile(
    r"(?:Failed to load resource: the server responded with a status of|Response Status Error Code) (\d{3})"
)
# No answer at all counts as status 0.
LOST_LINE = re.compile(r"Failed to load resource: net::ERR_|htmx:(sendError|sendAbort|afterRequest)\b")
# Chromium writes of most violations by itself; this names the directive, and catches the silent rest.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`));
"""


# --- The browser and the server -------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], playwright: Playwright) -> dict[str, Any]:
    try:
        return browser_type_launch_args | launch_options(playwright)
    except LookupError as nothing_starts:
        sentence = f"{nothing_starts}\n`python3 dev.py test` installs one."
        raise pytest.fail.Exception(sentence, pytrace=False) from None


@pytest.fixture(scope="session")
def base_url(live_server: Any) -> str:
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """No movement, so that a picture of the page is a picture of its end."""
    return browser_context_args | {"reduced_motion": "reduce"}


@pytest.fixture(autouse=True)
def site_of_this_test(settings: Any, base_url: str, transactional_db: None) -> None:
    """Links in mails lead to the live server; allauth's limits are off, but for tests that set their own."""
    settings.SITE_URL = settings.TWOFACTOR_SITE_URL = base_url
    settings.ACCOUNT_RATE_LIMITS = False


# --- The console ----------------------------------------------------------------------------------


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Browsers that keep what their console says; the test ends with nothing in it."""
    marker = request.node.get_closest_marker("expected_status")
    expected = EXPECTED.union(marker.args if marker else ())
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        status = STATUS_LINE.match(message.text)
        is_expected = int(status[1]) in expected if status else 0 in expected and LOST_LINE.match(message.text)
        # Hints, such as "[DOM] Password forms should have username fields". The headless shell gives none.
        is_complaint = message.type in ("error", "warning") or message.text.startswith("[DOM]")
        if is_complaint and not is_expected:
            complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def on_request(made: Request) -> None:
        if not made.url.startswith(("http://localhost:", "http://127.0.0.1:", "blob:")):
            complaints.append(f"asked another site: {made.method} {made.url}")

    def on_error(error: WebError) -> None:
        complaints.append(f"uncaught: {error.error.message}")

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        # Nothing on a machine's own loopback takes longer than this, and a test that fails says so soon.
        context.set_default_timeout(10_000)
        context.on("console", on_console)
        context.on("request", on_request)
        context.on("weberror", on_error)
        context.add_init_script(REPORT_VIOLATIONS)
        contexts.append(context)
        return context

    yield make
    for page in [page for context in contexts for page in context.pages]:
        # What the page has said by now arrives before the answer to this.
        page.evaluate("0")
    if complaints:
        pytest.fail("\n".join(["The browser's console is not empty:", *complaints]), pytrace=False)


# --- Who is there ---------------------------------------------------------------------------------


@pytest.fixture
def phone(authenticator: Authenticator, secret: str) -> Phone:
    """The user's phone, with 2FA on."""
    return Phone(secret)


@pytest.fixture
def signed_in(page: Page, user: User, base_url: str) -> Page:
    """A page of a browser in which the user has signed in; 2FA is off."""
    page.context.add_cookies(session_cookies(user, base_url))
    return page


@pytest.fixture
def signed_in_with_code(page: Page, user: User, phone: Phone, base_url: str) -> Page:
    """A page of a browser in which the user signed in with a code, so long ago that every code is unused."""
    page.context.add_cookies(session_cookies(user, base_url, code=phone.code()))
    Authenticator.objects.update(last_time_step=-1)
    return page


def session_cookies(user: User, url: str, *, code: str = "") -> list[Any]:
    """Sign in by the site's own forms, but without the browser: for tests whose point lies behind that."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    if code:
        client.post("/accounts/2fa/verify-login/", {"code": code})
    assert "_auth_user_id" in client.session, "signing in failed"
    return [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
