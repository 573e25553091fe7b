"""Accessibility: axe-core reports nothing, swaps are announced, errors belong to their fields."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from e2e.phone import Phone
from e2e.steps import (
    EVERY_PAGE,
    SETUP,
    code_field,
    enter_code,
    expect_field_error,
    expect_heading,
    password_field,
    press,
    start_setup,
    submit_password,
    wait_for_transition,
    wrong_code,
)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LAYOUT_RULES = ["color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block"]
WIDE: Any = {"width": 1280, "height": 800}
NARROW: Any = {"width": 390, "height": 844}


def axe_violations(page: Page, where: str, **run_only: Any) -> list[str]:
    """Run axe-core on the current page. Return a line for each element that violates a rule."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)  # not as a script element: the page's CSP would block it
    options = {"runOnly": run_only, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(options).then(results => results.violations)", options)
    return [f"{where}: {rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@pytest.mark.expected_status(404)
@pytest.mark.parametrize("pages", EVERY_PAGE)
def test_axe_core_reports_no_violation_on_any_page_or_panel(
    page: Page, user: User, settings: Any, pages: Callable[[Page, User], Iterator[str]]
) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 30
    found = []
    for name in pages(page, user):
        wait_for_transition(page)
        found += axe_violations(page, name, type="tag", values=RULES)
        page.emulate_media(color_scheme="dark")
        found += axe_violations(page, f"{name}, dark", type="rule", values=["color-contrast"])
        page.set_viewport_size(NARROW)
        found += axe_violations(page, f"{name}, dark and narrow", type="rule", values=LAYOUT_RULES)
        page.emulate_media(color_scheme="light")
        found += axe_violations(page, f"{name}, narrow", type="rule", values=["color-contrast"])
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        found += axe_violations(page, f"{name}, narrow, text at 200 %", type="rule", values=LAYOUT_RULES)
        page.evaluate("document.documentElement.style.fontSize = ''")
        page.set_viewport_size(WIDE)
    assert found == []


def test_a_swap_is_announced_and_changes_the_page_title(page: Page, user: User, phone: Phone) -> None:
    live = page.locator("[aria-live]")
    page.goto("/accounts/login/")
    expect(live).to_have_text("")
    submit_password(page, user)
    expect(live).to_have_text("Enter your code")
    expect(page).to_have_title("Enter your code · Twofactor")
    enter_code(page, wrong_code(phone))
    expect(live).to_contain_text("That code is not right.")
    press(page, "Use a backup code")
    expect(live).to_have_text("Use a backup code")


def test_each_step_of_the_setup_is_announced(signed_in: Page) -> None:
    live = signed_in.locator("[aria-live]")
    phone = start_setup(signed_in)
    expect(live).to_have_text("Turn on two-factor authentication")
    press(signed_in, "Continue")
    expect(live).to_have_text("Enter the code from your app")
    enter_code(signed_in, phone.code())
    expect(live).to_contain_text("Two-factor authentication is on.")
    expect_heading(signed_in, "Save your backup codes")
    expect(signed_in.get_by_role("heading", level=1)).to_be_focused()


def test_the_qr_code_has_an_alternative_text(signed_in: Page) -> None:
    start_setup(signed_in)
    expect(signed_in.get_by_role("img", name="the key beside it says the same")).to_be_visible()
    expect(signed_in.get_by_role("list", name="Progress")).to_contain_text("Scan")


def test_an_error_is_in_the_accessible_description_of_its_field(signed_in: Page) -> None:
    signed_in.goto(SETUP)
    expect(password_field(signed_in)).to_have_accessible_description("")
    password_field(signed_in).fill("not-the-password")
    press(signed_in, "Continue")
    expect_field_error(password_field(signed_in), "That is not your password.")
    signed_in.reload()
    expect(password_field(signed_in)).to_have_accessible_description("")


def test_every_target_is_at_least_24_pixels_high(signed_in_with_code: Page) -> None:
    """WCAG 2.2, 2.5.8. Links in a sentence are exempt."""
    for path in ("/", "/accounts/2fa/", "/accounts/2fa/disable/", "/accounts/email/", "/accounts/sessions/"):
        signed_in_with_code.goto(path)
        small = signed_in_with_code.evaluate(SMALL_TARGETS)
        assert small == [], path


SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
  .filter((element) => element.checkVisibility() && !element.closest("p") && !element.matches("a[href='#main']"))
  .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
  .filter(([, box]) => Math.min(box.width, box.height) < 24)
  .map(([html]) => html)"""


def test_there_is_no_animation_with_prefers_reduced_motion(signed_in: Page) -> None:
    signed_in.goto(SETUP)
    password_field(signed_in).fill("not-the-password")
    press(signed_in, "Continue")
    expect_field_error(password_field(signed_in), "That is not your password.")
    assert signed_in.evaluate("document.getAnimations().length") == 0


@pytest.mark.browser_context_args(forced_colors="active")
def test_steps_errors_and_a_busy_button_are_visible_with_forced_colors(signed_in: Page) -> None:
    start_setup(signed_in)
    step = signed_in.get_by_role("list", name="Progress").get_by_role("listitem")
    expect(step.first).to_have_css("border-top-style", "solid")
    expect(step.last).to_have_css("border-top-style", "dotted")
    press(signed_in, "Continue")
    code_field(signed_in).fill("12")
    press(signed_in, "Verify and turn on")
    expect_field_error(code_field(signed_in), "A code has six digits, like 123 456.")
    expect(code_field(signed_in)).to_have_css("border-left-width", "8px")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    signed_in.route("**/verify-setup/", hold)
    code_field(signed_in).fill("34")
    press(signed_in, "Verify and turn on")
    button = signed_in.get_by_role("button", name="Verify and turn on")
    expect(button).to_be_disabled()
    assert button.evaluate("(element) => getComputedStyle(element, '::after').content") == "none"
    held[0].continue_()
    expect(button).to_be_enabled()


def test_the_page_has_a_language_one_heading_and_one_main_element(signed_in: Page) -> None:
    signed_in.goto("/accounts/2fa/")
    expect(signed_in.locator("html")).to_have_attribute("lang", "en")
    expect(signed_in.get_by_role("heading", level=1)).to_have_count(1)
    expect(signed_in.get_by_role("main")).to_have_count(1)
    expect(code_field(signed_in)).to_have_count(0)
