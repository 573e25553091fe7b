"""The main journey by keyboard: every control is reachable, its focus is visible, and no swap loses the focus."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone
from e2e.steps import (
    SETTINGS,
    backup_code_field,
    backup_codes_on,
    code_field,
    email_field,
    expect_field_error,
    expect_heading,
    expect_text,
    password_field,
    qr_code,
    return_to_tab,
    sign_in,
    use_up_backup_codes,
    wrong_code,
)

# True if the focused element has an outline of at least two pixels.
VISIBLE = """element => {
  const style = getComputedStyle(element);
  return element.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until this element has the focus, and expect a visible focus."""
    expect(target).to_be_visible()
    for _ in range(40):
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate(VISIBLE), f"the focus is not visible on {target}"
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {target}")


def press(page: Page, role: str, name: str) -> None:
    """Move to a button and press Space, or to a link and press Enter."""
    tab_to(page, page.get_by_role("main").get_by_role(role, name=name, exact=True))  # type: ignore[arg-type]
    page.keyboard.press("Space" if role == "button" else "Enter")


def type_into(page: Page, field: Locator, text: str) -> None:
    tab_to(page, field)
    page.keyboard.type(text)


def expect_focused_panel(page: Page, name: str) -> None:
    """Expect a panel with this heading, and the focus in it: on the heading or on the first field."""
    expect_heading(page, name)
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


def test_the_main_journey(page: Page, user: User) -> None:
    page.goto("/")
    press(page, "link", "Sign in")
    expect_focused_panel(page, "Sign in")
    page.keyboard.type(user.email)  # the first field has the focus
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect_heading(page, "Your account")

    press(page, "link", "Turn on")
    expect_focused_panel(page, "Turn on two-factor authentication")
    type_into(page, password_field(page), PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 1 of 3")).to_be_visible()
    expect_focused_panel(page, "Turn on two-factor authentication")
    phone = Phone.scan(qr_code(page))
    press(page, "link", "Continue")
    expect_focused_panel(page, "Enter the code from your app")
    page.keyboard.type(wrong_code(phone))
    expect_field_error(code_field(page), "That code is not right.")
    page.keyboard.type(phone.code())
    expect_focused_panel(page, "Save your backup codes")
    codes = backup_codes_on(page)
    tab_to(page, page.get_by_role("checkbox", name="I have saved these codes"))
    page.keyboard.press("Space")
    press(page, "button", "Done")
    expect_focused_panel(page, "Two-factor authentication")

    page.reload()
    tab_to(page, page.get_by_role("banner").get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect_heading(page, "A stolen password should not be enough")
    sign_in(page, user)
    expect_focused_panel(page, "Enter your code")
    press(page, "link", "Use a backup code")
    expect_focused_panel(page, "Use a backup code")
    press(page, "link", "Use a code from your app")
    expect_focused_panel(page, "Enter your code")
    page.keyboard.type(phone.code(steps_ahead=1))
    expect_heading(page, "Your account")

    press(page, "link", "Manage")
    expect_focused_panel(page, "Two-factor authentication")
    press(page, "link", "Turn off")
    expect_focused_panel(page, "Turn off two-factor authentication")
    press(page, "link", "Use a backup code")
    expect(backup_code_field(page)).to_be_visible()
    expect_focused_panel(page, "Turn off two-factor authentication")
    type_into(page, password_field(page), PASSWORD)
    type_into(page, backup_code_field(page), codes[0])
    press(page, "button", "Turn off")
    expect_text(page, "Two-factor authentication is off.")
    expect_focused_panel(page, "Two-factor authentication")


def test_cancel_by_keyboard_keeps_the_focus(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    expect_focused_panel(page, "Enter your code")
    press(page, "button", "Cancel")
    expect_heading(page, "Sign in")
    expect(email_field(page)).to_be_focused()


def test_refreshing_the_status_keeps_the_focus(signed_in_with_code: Page) -> None:
    signed_in_with_code.goto(SETTINGS)
    new_phone = signed_in_with_code.get_by_role("link", name="New phone")
    new_phone.focus()
    use_up_backup_codes(1)
    return_to_tab(signed_in_with_code)
    expect(signed_in_with_code.get_by_role("main")).to_contain_text(re.compile(r"Backup codes left\s*9\b"))
    expect(new_phone).to_be_focused()


@pytest.mark.parametrize("path", ["/", "/accounts/signup/", "/accounts/password/reset/"])
def test_the_skip_link_is_first_and_skips_the_header(page: Page, path: str) -> None:
    page.goto(path)
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).not_to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_the_focus_is_visible_on_every_element(signed_in_with_code: Page, scheme: str, forced: str) -> None:
    page = signed_in_with_code
    page.emulate_media(color_scheme=scheme, forced_colors=forced)  # type: ignore[arg-type]
    page.goto(SETTINGS)
    unseen = []
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if not focused.count():
            break
        reached.add(focused.inner_text())
        if not focused.evaluate(VISIBLE):
            unseen.append(focused.inner_text())
    assert {"Sign out", "Security", "New backup codes", "New phone", "Turn off"} <= reached
    assert unseen == []


def test_no_element_has_a_positive_tabindex(signed_in_with_code: Page) -> None:
    for path in (SETTINGS, "/accounts/2fa/disable/", "/accounts/email/"):
        signed_in_with_code.goto(path)
        assert signed_in_with_code.locator("[tabindex]:not([tabindex='-1'], [tabindex='0'])").count() == 0
