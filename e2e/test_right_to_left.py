"""The main journey in Arabic, right to left: accessible and readable at every step."""

from collections.abc import Iterator

import pytest
from django.utils import translation
from playwright.sync_api import Page, expect

from accounts.models import User
from e2e.steps import main_journey_pages, wait_for_transition
from e2e.test_accessibility import NARROW, RULES, WIDE, axe_violations
from e2e.test_narrow import TOO_WIDE

# Codes, keys and addresses must be left to right in every language.
NOT_LTR = """() => [...document.querySelectorAll("code, bdi, [name=code], [name=backup_code], [type=email], #recall")]
  .filter((element) => getComputedStyle(element).direction !== "ltr")
  .map((element) => element.outerHTML.slice(0, 80))"""


@pytest.fixture
def arabic_texts() -> Iterator[None]:
    with translation.override("ar"):
        yield


@pytest.mark.browser_context_args(locale="ar")
@pytest.mark.usefixtures("arabic_texts")
def test_the_main_journey_in_arabic(page: Page, user: User) -> None:
    found = []
    for name in main_journey_pages(page, user):
        wait_for_transition(page)
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        found += axe_violations(page, name, type="tag", values=RULES)
        found += [f"{name}, right to left: {what}" for what in page.evaluate(NOT_LTR)]
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)
            found += [f"{name} at {size['width']} px: {what}" for what in page.evaluate(TOO_WIDE)]
    assert found == []
