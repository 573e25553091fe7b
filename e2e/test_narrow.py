"""On a phone, and with text twice as large: nothing scrolls sideways, and the main journey works."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from accounts.models import User
from e2e.steps import EVERY_PAGE, expect_stillness, main_journey

PHONE: Any = {"width": 390, "height": 844}
SIZES = [(width, text) for width in (390, 1280) for text in ("100%", "200%")]
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1);
  return [`scrolls to ${document.documentElement.scrollWidth}`, ...wide.map((e) => e.outerHTML.slice(0, 80))];
}"""


@pytest.mark.browser_context_args(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
def test_the_main_journey_on_a_phone(page: Page, user: User) -> None:
    main_journey(page, user)


@pytest.mark.expected_status(404)
@pytest.mark.parametrize("pages", EVERY_PAGE)
def test_no_page_scrolls_sideways(
    page: Page, user: User, settings: Any, pages: Callable[[Page, User], Iterator[str]]
) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 30
    found = []
    for name in pages(page, user):
        expect_stillness(page)
        for width, text in SIZES:
            page.set_viewport_size({"width": width, "height": 844})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
            found += [f"{name} at {width} px and {text} text: {what}" for what in page.evaluate(TOO_WIDE)]
        page.evaluate("document.documentElement.style.fontSize = ''")
    assert found == []
