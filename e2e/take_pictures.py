"""`python3 dev.py pictures`: take the screenshots of README.md and docs.

pytest runs this for its fixtures. It is not a test: its name keeps it out of the test run.
"""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from e2e import steps
from e2e.phone import Phone
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import PASSWORD, SETTINGS, SETUP

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"


@pytest.mark.parametrize("look, width, height", [
    ("light", 1280, 800), ("dark", 1280, 800), ("light-narrow", 390, 844), ("dark-narrow", 390, 844)
])  # fmt: skip
def test_pictures(new_context, user, secret, look, width, height):
    scheme = look.removesuffix("-narrow")
    page = new_context(color_scheme=scheme, viewport={"width": width, "height": height}).new_page()

    def take(name):
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=PICTURES / f"{name}-{look}.png", animations="disabled")

    page.goto("/")
    take("landing")
    steps.use_session(page, user, SETUP, {"password": PASSWORD})
    page.goto(SETUP)
    expect(steps.qr_code(page)).to_be_visible()
    take("setup-scan")
    page.context.clear_cookies()
    phone = Phone(secret, AuthenticatorApp.objects.activate(user, secret=secret))
    steps.sign_in(page, user, shows="Enter your code")
    take("sign-in-code")
    steps.enter_code(page, phone.code(), shows="Your account")
    page.goto(SETTINGS)
    take("settings")
