"""`python3 dev.py pictures`: take the screenshots of README.md and docs.

pytest runs this for its fixtures. It is not a test: its name keeps it out of the test run.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import sign_in
from twofactor.tests.constants import PASSWORD

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
LOOKS = [("light", 1280, 800), ("dark", 1280, 800), ("light", 390, 844), ("dark", 390, 844)]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def page(request, new_context):
    """Return a blank page with this color scheme and size."""
    scheme, width, height = request.param
    context = new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    return context.new_page()


def take(page: Page, name: str) -> None:
    look = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    if page.evaluate("innerWidth") < 1000:
        look += "-narrow"
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=PICTURES / f"{name}-{look}.png", animations="disabled")


def test_landing(page):
    page.goto("/")
    take(page, "landing")


def test_setup(signed_in):
    page = signed_in
    page.goto("/accounts/2fa/setup/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    take(page, "setup-scan")


def test_sign_in(page, user, phone):
    sign_in(page, user)
    expect(page.get_by_role("textbox", name="Code")).to_be_visible()
    take(page, "sign-in-code")


def test_settings(signed_in_with_code):
    page = signed_in_with_code
    page.goto("/accounts/2fa/")
    take(page, "settings")
