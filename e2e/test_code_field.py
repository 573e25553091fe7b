"""Typing a code: every spelling, letters, too many digits; and what a change of the method keeps."""

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
    client_of,
    code_field,
    expect_heading,
    expect_said_beside,
    expect_stillness,
    go_on_from,
    hold,
    password_field,
    press,
    requests_of,
    setup_under_way,
    wrong_code,
)
from twofactor.canonical import canonical
from twofactor.models import Authenticator

SENDS_ITSELF = "The code is sent when you type the sixth digit."
ONLY_DIGITS = "A code from your app has six digits."
WITH_CLIPBOARD: Any = pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def code_owed(page: Page, user: User, phone: Phone) -> Page:
    """The password is given; the card asks for a code."""
    go_on_from(client_of(user), page)
    page.goto(VERIFY_LOGIN)
    return page


def paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+V")


def expect_nothing_sent(page: Page, made: list[str]) -> None:
    """See that nothing is sent within the pause that follows a key."""
    page.wait_for_timeout(400)
    assert made == []


def link_in_hint(page: Page) -> Locator:
    return page.get_by_role("link", name="Use a backup code").first


# --- Every spelling -------------------------------------------------------------------------------


def test_the_script_reads_a_code_as_the_server_does(page: Page) -> None:
    page.goto("/")
    known = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]
    assert page.evaluate("text => [...text].map(canonical)", "".join(known)) == [canonical(c) for c in known]


def test_spaces_dashes_and_format_characters_are_dropped_as_they_are_typed(code_owed: Page) -> None:
    made = requests_of(code_owed)
    code_owed.keyboard.type(" 12-3\u00a04\u200b\u20135 ")
    expect(code_field(code_owed)).to_have_value("12345")
    code_owed.keyboard.press("ArrowLeft")
    code_owed.keyboard.type("- ")
    code_owed.keyboard.press("Backspace")
    expect(code_field(code_owed)).to_have_value("1235")
    expect_nothing_sent(code_owed, made)


@pytest.mark.parametrize("zero", [0xFF10, 0x0660])
def test_digits_of_another_script_are_sent_as_they_are_typed(code_owed: Page, phone: Phone, zero: int) -> None:
    for digit in phone.code():
        code_owed.keyboard.insert_text(chr(zero + int(digit)))
    expect_heading(code_owed, "Your account")


def test_a_code_of_an_input_method_is_read_when_it_is_composed(code_owed: Page, phone: Phone) -> None:
    cdp = code_owed.context.new_cdp_session(code_owed)
    full_width = "".join(chr(0xFF10 + int(digit)) for digit in phone.code())
    for length in range(1, 7):
        cdp.send(
            "Input.imeSetComposition", {"text": full_width[:length], "selectionStart": length, "selectionEnd": length}
        )
        expect(code_field(code_owed)).to_have_value(full_width[:length])
    cdp.send("Input.insertText", {"text": full_width})
    expect_heading(code_owed, "Your account")


# --- Letters --------------------------------------------------------------------------------------


def test_after_a_letter_nothing_is_sent_by_itself_until_the_field_is_empty(code_owed: Page, phone: Phone) -> None:
    made = requests_of(code_owed)
    expect(link_in_hint(code_owed)).to_have_count(1)
    code_owed.keyboard.type("1a")
    expect(code_owed.get_by_role("main").get_by_text(ONLY_DIGITS)).to_be_visible()
    expect(code_field(code_owed)).to_have_accessible_description(re.compile(ONLY_DIGITS))
    expect(code_owed.get_by_text(SENDS_ITSELF)).to_be_hidden()
    expect(code_owed.get_by_role("status").filter(has_text=ONLY_DIGITS)).to_have_count(1)
    code_owed.keyboard.press("Backspace")
    code_owed.keyboard.type(wrong_code(phone)[1:])
    expect_nothing_sent(code_owed, made)
    for _ in range(6):
        code_owed.keyboard.press("Backspace")
    expect(code_owed.get_by_role("main").get_by_text(ONLY_DIGITS)).to_be_hidden()
    code_owed.keyboard.type(phone.code())
    expect_heading(code_owed, "Your account")


@WITH_CLIPBOARD
def test_a_backup_code_pasted_into_the_field_for_codes_is_not_lost(code_owed: Page, backup_codes: list[str]) -> None:
    made = requests_of(code_owed)
    paste(code_owed, backup_codes[0])
    expect_nothing_sent(code_owed, made)
    link_in_hint(code_owed).click()
    expect_heading(code_owed, "Use a backup code")
    expect(backup_code_field(code_owed)).to_have_value(backup_codes[0].replace("-", ""))
    press(code_owed, "Continue")
    expect_heading(code_owed, "Your account")


def test_a_backup_code_sent_from_the_field_for_codes_is_told_so(code_owed: Page, backup_codes: list[str]) -> None:
    code_owed.keyboard.type(backup_codes[0])
    code_owed.keyboard.press("Enter")
    expect_said_beside(code_field(code_owed), "That looks like a backup code.")
    expect(link_in_hint(code_owed)).to_be_visible()
    assert Authenticator.objects.get().codes_left == 10


# --- Sent by itself -------------------------------------------------------------------------------


def test_the_hint_says_that_the_code_is_sent_at_its_sixth_digit(code_owed: Page) -> None:
    expect(code_field(code_owed)).to_have_accessible_description(re.compile(re.escape(SENDS_ITSELF)))


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_without_script_it_does_not_say_so(code_owed: Page) -> None:
    expect(code_owed.get_by_text(SENDS_ITSELF)).to_be_hidden()
    expect(code_field(code_owed)).to_have_accessible_description(
        "The six digits that your authenticator app shows now."
    )


@pytest.mark.parametrize("delay", [0, 60])
def test_digits_typed_after_the_sixth_end_up_in_no_form(code_owed: Page, phone: Phone, delay: int) -> None:
    made = requests_of(code_owed)
    code_owed.keyboard.type(f"{wrong_code(phone)}789", delay=delay)
    expect_said_beside(code_field(code_owed), "That code is not right.")
    expect(code_field(code_owed)).to_have_value("")
    assert made == [f"POST {VERIFY_LOGIN}"]


def test_what_is_typed_while_a_code_is_checked_ends_up_in_no_form(code_owed: Page, phone: Phone) -> None:
    held = hold(code_owed)
    with code_owed.expect_request(f"**{VERIFY_LOGIN}"):
        code_owed.keyboard.type(wrong_code(phone))
    code_owed.keyboard.type("78")
    expect(code_field(code_owed)).to_have_value(wrong_code(phone))
    held[0].continue_()
    expect_said_beside(code_field(code_owed), "That code is not right.")
    expect(code_field(code_owed)).to_have_value("")


def test_seven_digits_of_a_setup_leave_nothing_behind(page: Page, user: User) -> None:
    phone = setup_under_way(page, user)
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    page.keyboard.type(f"{phone.code()}7")
    expect_heading(page, "Save your backup codes")


# --- The change of the method ---------------------------------------------------------------------


def test_a_change_of_the_method_keeps_the_password_in_the_browser_and_focuses_its_field(
    signed_in_with_code: Page, phone: Phone
) -> None:
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
    expect_said_beside(code_field(page), "That code is not right.")
    code_field(page).fill(phone.code())
    press(page, "Turn off")
    expect_heading(page, "Two-factor authentication")
    expect_stillness(page)
    assert not Authenticator.objects.exists()


def test_a_wrong_password_is_not_kept(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(DISABLE)
    password_field(page).fill("not-the-password")
    code_field(page).fill(phone.code())
    press(page, "Turn off")
    expect_said_beside(password_field(page), "That is not your password.")
    expect(password_field(page)).to_have_value("")


def test_a_refused_form_keeps_the_passwords_that_are_not_wrong(signed_in_with_code: Page) -> None:
    page = signed_in_with_code
    page.goto("/accounts/password/change/")
    old, new = page.get_by_label("Current password"), page.get_by_label("New password")
    old.fill("not-the-password")
    new.fill(NEW_PASSWORD)
    press(page, "Change password")
    expect_said_beside(old, "That is not your password.")
    expect(old).to_have_value("")
    expect(new).to_have_value(NEW_PASSWORD)


def test_a_change_of_the_method_keeps_the_box_for_a_trusted_browser(
    code_owed: Page, settings: Any, backup_codes: list[str]
) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 30
    code_owed.reload()
    box = code_owed.get_by_role("checkbox", name="Trust this browser for 30 days")
    box.check()
    press(code_owed, "Use a backup code")
    expect(backup_code_field(code_owed)).to_be_focused()
    expect(box).to_be_checked()
