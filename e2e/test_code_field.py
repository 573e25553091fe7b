"""Typing a code: spellings, letters, too many digits. What the script keeps over a swap."""

import re
import sys
import unicodedata

import pytest
from playwright.sync_api import expect

from e2e import steps
from twofactor.canonical import canonical
from twofactor.tests.constants import DISABLE, PASSWORD, REGENERATE, VERIFY_LOGIN

AUTOSUBMIT_HINT = "We'll check it after the sixth digit."
DIGITS_HINT = "A code from your app has six digits."


@pytest.fixture
def code_page(code_page):
    """The code form in a page whose timers a test can advance."""
    code_page.clock.install()
    code_page.reload()
    expect(steps.code_field(code_page)).to_be_focused()
    return code_page


def expect_nothing_sent(page, made):
    """Expect no request within a second."""
    page.clock.run_for(1000)
    assert made == []


def paste(page, text):
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+V")


def test_the_script_normalizes_a_code_as_the_server_does(page):
    page.goto("/")
    every = [chr(point) for point in range(sys.maxunicode + 1) if chr(point) != "|"]
    known = [c for c in every if unicodedata.category(c) not in ("Cn", "Cs")]
    text = "|".join(known)  # one call: a call for each of the 282,000 characters takes half a minute
    assert page.evaluate("text => canonical(text)", text).split("|") == [canonical(c) for c in known]


def test_a_code_is_normalized_while_it_is_typed_and_the_caret_stays(code_page):
    made = steps.record_requests(code_page)
    code_page.keyboard.type(" 12-3\u00a04\u200b\u20135 ")
    expect(steps.code_field(code_page)).to_have_value("12345")
    code_page.keyboard.press("ArrowLeft")
    code_page.keyboard.type("- ")
    code_page.keyboard.press("Backspace")
    expect(steps.code_field(code_page)).to_have_value("1235")
    expect_nothing_sent(code_page, made)


def test_digits_of_other_scripts_and_input_methods_submit_the_form(code_page, phone):
    for digit in phone.wrong_code():
        code_page.keyboard.insert_text(chr(ord("\N{ARABIC-INDIC DIGIT ZERO}") + int(digit)))
    steps.expect_field_error(steps.code_field(code_page), steps.WRONG_CODE)
    cdp = code_page.context.new_cdp_session(code_page)
    full_width = "".join(chr(ord("\N{FULLWIDTH DIGIT ZERO}") + int(digit)) for digit in phone.code())
    for length in range(1, 7):
        typed = {"text": full_width[:length], "selectionStart": length, "selectionEnd": length}
        cdp.send("Input.imeSetComposition", typed)
        expect(steps.code_field(code_page)).to_have_value(full_width[:length])
    cdp.send("Input.insertText", {"text": full_width})
    steps.expect_heading(code_page, "Your account")


def test_after_a_letter_the_form_does_not_submit_itself_until_the_field_is_empty(code_page, phone):
    made = steps.record_requests(code_page)
    field, hint = steps.code_field(code_page), code_page.get_by_role("main").get_by_text(DIGITS_HINT)
    expect(field).to_have_accessible_description(re.compile(re.escape(AUTOSUBMIT_HINT)))
    code_page.keyboard.type("1a")
    expect(hint).to_be_visible()
    expect(field).to_have_accessible_description(re.compile(DIGITS_HINT))
    expect(code_page.get_by_text(AUTOSUBMIT_HINT)).to_be_hidden()
    expect(code_page.get_by_role("status").filter(has_text=DIGITS_HINT)).to_have_count(1)
    code_page.keyboard.press("Backspace")
    code_page.keyboard.type(phone.wrong_code()[1:])
    expect_nothing_sent(code_page, made)
    for _ in range(6):
        code_page.keyboard.press("Backspace")
    expect(hint).to_be_hidden()
    code_page.keyboard.type(phone.code())
    steps.expect_heading(code_page, "Your account")


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_a_code_can_be_pasted_and_a_pasted_backup_code_moves_to_its_own_form(code_page, phone):
    made = steps.record_requests(code_page)
    paste(code_page, phone.backup_codes[0])
    expect_nothing_sent(code_page, made)
    code_page.get_by_role("link", name="Use a backup code").first.click()
    expect(steps.backup_code_field(code_page)).to_have_value(phone.backup_codes[0].replace("-", ""))
    steps.press(code_page, "Use a code from your app")
    expect(steps.code_field(code_page)).to_be_focused()
    code = phone.code()
    paste(code_page, f"{code[:3]} {code[3:]}")
    steps.expect_heading(code_page, "Your account")


def test_a_seventh_digit_is_ignored(code_page, phone):
    made = steps.record_requests(code_page)
    code_page.keyboard.type(f"{phone.wrong_code()}789")
    steps.expect_field_error(steps.code_field(code_page), steps.WRONG_CODE)
    expect(steps.code_field(code_page)).to_have_value("")
    code_page.keyboard.type(f"{phone.code()}7", delay=40)  # milliseconds between two keys
    steps.expect_heading(code_page, "Your account")
    assert made == [f"POST {VERIFY_LOGIN}", f"POST {VERIFY_LOGIN}", "GET /"]


def test_a_swap_keeps_the_password_in_the_same_form_unless_it_is_wrong(signed_in_with_code, phone):
    page = signed_in_with_code
    password, code = steps.password_field(page), steps.code_field(page)
    page.goto(DISABLE)
    password.fill(PASSWORD)
    for link, field in (("Use a backup code", steps.backup_code_field(page)), ("Use a code from your app", code)):
        steps.press(page, link)
        expect(field).to_be_focused()
        expect(password).to_have_value(PASSWORD)
    code.fill(phone.wrong_code())
    steps.press(page, "Turn off")
    steps.expect_field_error(code, steps.WRONG_CODE)
    expect(password).to_have_value(PASSWORD)
    assert PASSWORD not in page.url + page.content()
    password.fill("not-the-password")
    code.fill(phone.code())
    steps.press(page, "Turn off")
    steps.expect_field_error(password, "Incorrect password. Try again.")
    expect(password).to_have_value("")
    password.fill(PASSWORD)
    page.evaluate(f"htmx.ajax('GET', '{REGENERATE}', {{source: '#panel', target: '#panel'}})")
    steps.expect_heading(page, "New backup codes")
    expect(password).to_have_value("")


def test_a_swap_keeps_the_trust_checkbox(code_page, phone, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    code_page.reload()
    box = code_page.get_by_role("checkbox", name="Trust this browser for 30 days")
    box.check()
    steps.press(code_page, "Use a backup code")
    expect(steps.backup_code_field(code_page)).to_be_focused()
    expect(box).to_be_checked()
    steps.press(code_page, "Use a code from your app")
    steps.expect_wrong_code(code_page, phone.wrong_code())
    expect(box).to_be_checked()
