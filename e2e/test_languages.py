"""Right to left: the main journey in Arabic, accessible and readable at every step."""

from collections.abc import Iterator

import pytest
from django.utils import translation
from playwright.sync_api import Page, expect

from accounts.models import User
from e2e.steps import expect_stillness, stops_of_the_main_journey
from e2e.test_accessibility import NARROW, RULES, WIDE, findings
from e2e.test_narrow import TOO_WIDE

# What is typed and copied as it stands runs left to right, whatever the language around it.
BACKWARDS = """() => [...document.querySelectorAll("code, bdi, [name=code], [name=backup_code], [type=email], #recall")]
  .filter((element) => getComputedStyle(element).direction !== "ltr")
  .map((element) => element.outerHTML.slice(0, 80))"""


@pytest.fixture
def words_are_arabic() -> Iterator[None]:
    with translation.override("ar"):
        yield


@pytest.mark.browser_context_args(locale="ar")
@pytest.mark.usefixtures("words_are_arabic")
def test_the_main_journey_in_arabic(page: Page, user: User) -> None:
    found = []
    for name in stops_of_the_main_journey(page, user):
        expect_stillness(page)
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        found += findings(page, name, type="tag", values=RULES)
        found += [f"{name}, backwards: {what}" for what in page.evaluate(BACKWARDS)]
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)
            found += [f"{name} at {size['width']} px: {what}" for what in page.evaluate(TOO_WIDE)]
    assert found == []
