"""On a phone and with text at 200 %, no page scrolls sideways in any language."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as site
from django.utils import translation
from playwright.sync_api import Page

from accounts.models import User
from e2e.steps import EVERY_PAGE, backup_codes_on, enter_code, open_setup, press, wait_for_transition

SIZES = [(width, text) for width in (1280, 390) for text in ("100%", "200%")]
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const sticksOut = (box) => box.right > width + 1 || box.left < -1;
  const wide = [...document.querySelectorAll("body *")].filter((e) => sticksOut(e.getBoundingClientRect()));
  return [`scrolls to ${document.documentElement.scrollWidth}`, ...wide.map((e) => e.outerHTML.slice(0, 80))];
}"""
# Load the page in each of these languages, and lay it out in place of the current one.
TOO_WIDE_IN = """async (languages) => {
  const root = document.documentElement, own = {dir: root.dir, lang: root.lang, body: document.body};
  const show = ({dir, lang, body}) => { Object.assign(root, {dir, lang}); document.body.replaceWith(body); };
  const pages = await Promise.all(languages.map(async (language) => {
    const answer = await fetch(location.href, {headers: {"Accept-Language": language}});
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const {dir, lang} = page.documentElement;
    return {dir, lang, body: page.body};
  }));
  const found = pages.flatMap((page) => {
    show(page);
    return (TOO_WIDE)().map((what) => `in ${page.lang}: ${what}`);
  });
  show(own);
  const shown = pages.map(({lang}) => lang);
  return shown.join() === languages.join() ? found : [`came in ${shown}`];
}""".replace("TOO_WIDE", TOO_WIDE)
LINES = """element => {
  const text = document.createRange();
  text.selectNodeContents(element);
  return text.getClientRects().length;
}"""
OTHERS = [code for code, name in site.LANGUAGES if code != "de"]


@pytest.fixture
def german_texts() -> Iterator[None]:
    with translation.override("de"):
        yield


@pytest.mark.browser_context_args(locale="de")
@pytest.mark.expected_status(404)
@pytest.mark.usefixtures("german_texts")
@pytest.mark.parametrize("pages", EVERY_PAGE)
def test_no_page_scrolls_sideways(
    page: Page, user: User, settings: Any, pages: Callable[[Page, User], Iterator[str]]
) -> None:
    """Check every page and panel in German, which has the longest words, and every URL in the other languages."""
    settings.TWOFACTOR_TRUST_DAYS = 30
    found = []
    seen = set()
    for name in pages(page, user):
        wait_for_transition(page)
        for width, text in SIZES:
            page.set_viewport_size({"width": width, "height": 844})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
            found += [f"{name} at {width} px and {text} text: {what}" for what in page.evaluate(TOO_WIDE)]
        if page.url not in seen:
            found += [f"{name} {what}" for what in page.evaluate(TOO_WIDE_IN, OTHERS)]
        seen.add(page.url)
        page.evaluate("document.documentElement.style.fontSize = ''")
    assert found == []


def test_no_backup_code_wraps_on_the_narrowest_phone(page: Page, user: User) -> None:
    phone = open_setup(page, user)
    press(page, "Continue")
    enter_code(page, phone.code())
    page.set_viewport_size({"width": 320, "height": 640})
    for code in backup_codes_on(page):
        assert page.get_by_text(code, exact=True).evaluate(LINES) == 1
    assert page.evaluate(TOO_WIDE) == []
