"""A real browser and a live server. A console error, a CSP violation or a request to another site fails the test."""

import re
import time

import pytest
from django.utils import translation
from playwright.sync_api import expect

from e2e import steps
from e2e.browser import launch_options
from e2e.phone import CLOCK, Phone
from twofactor.tests.constants import PASSWORD, SETUP, VERIFY_LOGIN

# A busy machine needs more than Playwright's five seconds for a page.
TIMEOUT = 20_000  # milliseconds
expect.set_options(timeout=TIMEOUT)

# Panels are swapped with these statuses, and Chromium logs each of them as an error.
EXPECTED = {403, 422, 429}
STATUS_LINE = re.compile(r"(?:Failed to load .*: the server responded with a status of|Response .*Error Code) (\d{3})")
# A request without a response is status 0.
LOST_LINE = re.compile(r"Failed to load resource: net::ERR_|htmx:(sendError|sendAbort|afterRequest)\b")
# Chromium logs most violations. This adds the directive, and logs the others.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`));
"""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args, playwright):
    try:
        return browser_type_launch_args | launch_options(playwright)
    except LookupError as error:
        message = f"{error}\n`python3 dev.py test` installs one."
        raise pytest.fail.Exception(message, pytrace=False) from None


@pytest.fixture(scope="session")
def base_url(live_server):
    return live_server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    """Turn animations off: a screenshot then shows the final state of the page."""
    return browser_context_args | {"reduced_motion": "reduce"}


@pytest.fixture(autouse=True)
def site_settings(settings, base_url, transactional_db):
    """Make links in emails lead to the live server, offer passkeys there, and turn allauth's rate limits off."""
    settings.SITE_URL = settings.TWOFACTOR_SITE_URL = base_url
    settings.TWOFACTOR_ORIGINS = [base_url]
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture(autouse=True)
def language(request):
    """Translate the texts that a test expects into the language of its browser."""
    marker = request.node.get_closest_marker("browser_context_args")
    with translation.override(marker.kwargs.get("locale", "en") if marker else "en"):
        yield


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Stop the clock of the live server."""
    CLOCK.now = time.time()
    monkeypatch.setattr(time, "time", CLOCK.time)


@pytest.fixture
def new_context(new_context, request):
    """Make browser contexts whose console is recorded. Fail the test if the console is not empty."""
    marker = request.node.get_closest_marker("expected_status")
    expected = EXPECTED.union(marker.args if marker else ())
    contexts, problems = [], []

    def on_console(message):
        status = STATUS_LINE.match(message.text)
        is_expected = int(status[1]) in expected if status else 0 in expected and LOST_LINE.match(message.text)
        # "[DOM]" starts a hint, such as "Password forms should have username fields". The headless shell logs none.
        is_problem = message.type in ("error", "warning") or message.text.startswith("[DOM]")
        if is_problem and not is_expected:
            problems.append(f"{message.type}: {message.text} ({message.location['url']})")

    def on_request(made):
        if not made.url.startswith(("http://localhost:", "http://127.0.0.1:", "blob:")):
            problems.append(f"request to another site: {made.method} {made.url}")

    def make(**options):
        context = new_context(**options)
        context.set_default_timeout(TIMEOUT)
        context.on("console", on_console)
        context.on("request", on_request)
        context.on("weberror", lambda error: problems.append(f"uncaught: {error.error.message}"))
        context.add_init_script(REPORT_VIOLATIONS)
        contexts.append(context)
        return context

    yield make
    for page in [page for context in contexts for page in context.pages]:
        # Console messages sent before this call have arrived when it returns.
        page.evaluate("0")
    if problems:
        pytest.fail("\n".join(["The browser's console is not empty:", *problems]), pytrace=False)


@pytest.fixture
def phone(user, secret, backup_codes):
    """Turn 2FA on for the user, and return their phone."""
    return Phone(secret, backup_codes)


@pytest.fixture
def signed_in(page, user):
    """Sign the user in, with 2FA off, and return a blank page."""
    steps.use_session(page, user)
    return page


@pytest.fixture
def signed_in_with_code(page, user, phone):
    """Sign the user in with a code, and return a blank page."""
    steps.use_session(page, user, VERIFY_LOGIN, {"code": phone.code()})
    return page


@pytest.fixture
def code_page(page, user, phone):
    """A page with the code form of a pending sign-in."""
    steps.use_session(page, user)
    page.goto(VERIFY_LOGIN)
    return page


@pytest.fixture
def scanned_phone(page, user):
    """Open step 1 of the setup, and return a phone with its key."""
    steps.use_session(page, user, SETUP, {"password": PASSWORD})
    page.goto(SETUP)
    return Phone(steps.key_of(page))
