"""Typing a code: spellings, letters, too many digits. What the form keeps when the method is switched."""

import re
import sys
import unicodedata
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone
from e2e.steps import (
    DISABLE,
    NEW_PASSWORD,
    VERIFY_LOGIN,
    backup_code_field,
    client_after_password,
    code_field,
    expect_field_error,
    expect_heading,
    hold_requests,
    open_setup,
    password_field,
    press,
    record_requests,
    use_cookies_of,
    wait_for_transition,
    wrong_code,
)
from twofactor.canonical import canonical
from twofactor.models import Authenticator

AUTOSUBMIT_HINT = "The code is sent when you type the sixth digit."
DIGITS_HINT = "A code from your app has six digits."
WITH_CLIPBOARD: Any = pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def code_page(page: Page, user: User, phone: Phone) -> Page:
    """A page with the code form, after the password."""
    use_cookies_of(client_after_password(user), page)
    page.goto(VERIFY_LOGIN)
    return page


def paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+V")


def expect_nothing_sent(page: Page, made: list[str]) -> None:
    """Expect no request within the pause that follows a key."""
    page.wait_for_timeout(400)
    assert made == []


def link_in_hint(page: Page) -> Locator:
    return page.get_by_role("link", name="Use a backup code").first


# --- Spellings ------------------------------------------------------------------------------------


def test_the_script_normalizes_a_code_as_the_server_does(page: Page) -> None:
    page.goto("/")
    known = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]
    assert page.evaluate("text => [...text].map(canonical)", "".join(known)) == [canonical(c) for c in known]


def test_spaces_dashes_and_format_characters_are_removed_while_typing(code_page: Page) -> None:
    made = record_requests(code_page)
    code_page.keyboard.type(" 12-3\u00a04\u200b\u20135 ")
    expect(code_field(code_page)).to_have_value("12345")
    code_page.keyboard.press("ArrowLeft")
    code_page.keyboard.type("- ")
    code_page.keyboard.press("Backspace")
    expect(code_field(code_page)).to_have_value("1235")
    expect_nothing_sent(code_page, made)


@pytest.mark.parametrize("zero", [0xFF10, 0x0660])
def test_digits_of_another_script_submit_the_form(code_page: Page, phone: Phone, zero: int) -> None:
    for digit in phone.code():
        code_page.keyboard.insert_text(chr(zero + int(digit)))
    expect_heading(code_page, "Your account")


def test_a_code_of_an_input_method_is_read_after_its_composition(code_page: Page, phone: Phone) -> None:
    cdp = code_page.context.new_cdp_session(code_page)
    full_width = "".join(chr(0xFF10 + int(digit)) for digit in phone.code())
    for length in range(1, 7):
        cdp.send(
            "Input.imeSetComposition", {"text": full_width[:length], "selectionStart": length, "selectionEnd": length}
        )
        expect(code_field(code_page)).to_have_value(full_width[:length])
    cdp.send("Input.insertText", {"text": full_width})
    expect_heading(code_page, "Your account")


# --- Letters --------------------------------------------------------------------------------------


def test_after_a_letter_the_form_does_not_submit_itself_until_the_field_is_empty(code_page: Page, phone: Phone) -> None:
    made = record_requests(code_page)
    expect(link_in_hint(code_page)).to_have_count(1)
    code_page.keyboard.type("1a")
    expect(code_page.get_by_role("main").get_by_text(DIGITS_HINT)).to_be_visible()
    expect(code_field(code_page)).to_have_accessible_description(re.compile(DIGITS_HINT))
    expect(code_page.get_by_text(AUTOSUBMIT_HINT)).to_be_hidden()
    expect(code_page.get_by_role("status").filter(has_text=DIGITS_HINT)).to_have_count(1)
    code_page.keyboard.press("Backspace")
    code_page.keyboard.type(wrong_code(phone)[1:])
    expect_nothing_sent(code_page, made)
    for _ in range(6):
        code_page.keyboard.press("Backspace")
    expect(code_page.get_by_role("main").get_by_text(DIGITS_HINT)).to_be_hidden()
    code_page.keyboard.type(phone.code())
    expect_heading(code_page, "Your account")


@WITH_CLIPBOARD
def test_a_backup_code_pasted_into_the_code_field_is_kept(code_page: Page, backup_codes: list[str]) -> None:
    made = record_requests(code_page)
    paste(code_page, backup_codes[0])
    expect_nothing_sent(code_page, made)
    link_in_hint(code_page).click()
    expect_heading(code_page, "Use a backup code")
    expect(backup_code_field(code_page)).to_have_value(backup_codes[0].replace("-", ""))
    press(code_page, "Continue")
    expect_heading(code_page, "Your account")


def test_a_backup_code_sent_from_the_code_field_gets_a_hint(code_page: Page, backup_codes: list[str]) -> None:
    code_page.keyboard.type(backup_codes[0])
    code_page.keyboard.press("Enter")
    expect_field_error(code_field(code_page), "That looks like a backup code.")
    expect(link_in_hint(code_page)).to_be_visible()
    assert Authenticator.objects.get().codes_left == 10


# --- Automatic submission -------------------------------------------------------------------------


def test_the_hint_says_that_the_sixth_digit_submits_the_form(code_page: Page) -> None:
    expect(code_field(code_page)).to_have_accessible_description(re.compile(re.escape(AUTOSUBMIT_HINT)))


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_hint_without_javascript_does_not_mention_automatic_submission(code_page: Page) -> None:
    expect(code_page.get_by_text(AUTOSUBMIT_HINT)).to_be_hidden()
    expect(code_field(code_page)).to_have_accessible_description(
        "The six digits that your authenticator app shows now."
    )


@pytest.mark.parametrize("delay", [0, 60])
def test_digits_typed_after_the_sixth_are_discarded(code_page: Page, phone: Phone, delay: int) -> None:
    made = record_requests(code_page)
    code_page.keyboard.type(f"{wrong_code(phone)}789", delay=delay)
    expect_field_error(code_field(code_page), "That code is not right.")
    expect(code_field(code_page)).to_have_value("")
    assert made == [f"POST {VERIFY_LOGIN}"]


def test_digits_typed_while_a_code_is_checked_are_discarded(code_page: Page, phone: Phone) -> None:
    held = hold_requests(code_page)
    with code_page.expect_request(f"**{VERIFY_LOGIN}"):
        code_page.keyboard.type(wrong_code(phone))
    code_page.keyboard.type("78")
    expect(code_field(code_page)).to_have_value(wrong_code(phone))
    held[0].continue_()
    expect_field_error(code_field(code_page), "That code is not right.")
    expect(code_field(code_page)).to_have_value("")


def test_a_seventh_digit_in_the_setup_is_discarded(page: Page, user: User) -> None:
    phone = open_setup(page, user)
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    page.keyboard.type(f"{phone.code()}7")
    expect_heading(page, "Save your backup codes")


# --- Switching the method -------------------------------------------------------------------------


def test_switching_the_method_keeps_the_password_and_focuses_the_field(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(DISABLE)
    password_field(page).fill(PASSWORD)
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    expect(password_field(page)).to_have_value(PASSWORD)
    press(page, "Use a code from your app")
    expect(code_field(page)).to_be_focused()
    expect(password_field(page)).to_have_value(PASSWORD)
    assert PASSWORD not in page.url + page.content()
    code_field(page).fill(wrong_code(phone))
    press(page, "Turn off")
    expect_field_error(code_field(page), "That code is not right.")
    code_field(page).fill(phone.code())
    press(page, "Turn off")
    expect_heading(page, "Two-factor authentication")
    wait_for_transition(page)
    assert not Authenticator.objects.exists()


def test_a_wrong_password_is_not_kept(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(DISABLE)
    password_field(page).fill("not-the-password")
    code_field(page).fill(phone.code())
    press(page, "Turn off")
    expect_field_error(password_field(page), "That is not your password.")
    expect(password_field(page)).to_have_value("")


def test_a_refused_form_keeps_the_passwords_without_an_error(signed_in_with_code: Page) -> None:
    page = signed_in_with_code
    page.goto("/accounts/password/change/")
    old = page.get_by_label("Current password")
    new = page.get_by_label("New password")
    old.fill("not-the-password")
    new.fill(NEW_PASSWORD)
    press(page, "Change password")
    expect_field_error(old, "That is not your password.")
    expect(old).to_have_value("")
    expect(new).to_have_value(NEW_PASSWORD)


def test_switching_the_method_keeps_the_trust_checkbox(code_page: Page, settings: Any, backup_codes: list[str]) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 30
    code_page.reload()
    box = code_page.get_by_role("checkbox", name="Trust this browser for 30 days")
    box.check()
    press(code_page, "Use a backup code")
    expect(backup_code_field(code_page)).to_be_focused()
    expect(box).to_be_checked()
