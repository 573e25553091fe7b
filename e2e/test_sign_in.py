"""Sign-in in place: the code form in the panel of the password, sent once, and Back."""

import re

from playwright.sync_api import expect

from e2e import steps
from twofactor.tests.constants import LOGIN, PASSWORD, VERIFY_LOGIN


def test_sign_in_swaps_the_panel_sets_focus_and_title_and_announces_each_step(page, user, phone):
    live, code_field = page.locator("[aria-live]"), steps.code_field(page)
    page.goto(LOGIN)
    page.evaluate("window.isSamePage = true")
    expect(steps.email_field(page)).to_be_focused()
    expect(live).to_have_text("")
    steps.email_field(page).fill(user.email)
    steps.password_field(page).fill(PASSWORD)
    made = steps.record_requests(page)
    steps.button(page, "Sign in").dblclick()
    steps.expect_heading(page, "Enter your code")
    expect(live).to_have_text("Enter your code")
    expect(page).to_have_title("Enter your code · Twofactor")
    expect(page).to_have_url(re.compile(f"{VERIFY_LOGIN}$"))
    expect(code_field).to_be_focused()
    # The swap does not replace the header. Its links to sign in and to sign up are hidden.
    expect(page.get_by_role("banner").get_by_role("link")).to_have_count(1)
    steps.expect_wrong_code(page, phone.wrong_code())
    expect(code_field).to_have_value("")
    expect(live).to_contain_text(steps.WRONG_CODE)
    steps.press(page, "Use a backup code")
    expect(live).to_have_text("Use a backup code")
    expect(steps.backup_code_field(page)).to_be_focused()
    steps.expect_wrong_backup_code(page)
    assert page.evaluate("window.isSamePage") is True
    page.reload()
    steps.press(page, "Use a code from your app")
    expect(code_field).to_be_focused()
    page.reload()
    expect(code_field).to_be_focused()
    code = phone.code()
    code_field.press_sequentially(code[:5])
    assert made.count(f"POST {VERIFY_LOGIN}") == 2
    code_field.press_sequentially(code[5:])
    steps.expect_heading(page, "Your account")
    assert made.count(f"POST {LOGIN}") == 1
    assert made[-2:] == [f"POST {VERIFY_LOGIN}", "GET /"]


def test_a_code_is_sent_once_whatever_is_pressed_while_it_is_checked(code_page, phone):
    made = steps.record_requests(code_page)
    held = steps.hold_requests(code_page, VERIFY_LOGIN)
    code = phone.code()
    with code_page.expect_request(f"**{VERIFY_LOGIN}"):
        steps.enter_code(code_page, code)
    box = steps.button(code_page, "Continue").bounding_box()
    code_page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    steps.code_field(code_page).focus()
    code_page.keyboard.type("78")
    code_page.keyboard.press("Backspace")
    code_page.keyboard.press("Enter")
    # The button is disabled meanwhile. A page of a host may lack the attribute for that, so the script has a guard.
    code_page.locator("#panel form:has([name=code])").evaluate("form => form.requestSubmit()")
    expect(steps.code_field(code_page)).to_have_value(code)
    held[0].continue_()
    steps.expect_heading(code_page, "Your account")
    assert made == [f"POST {VERIFY_LOGIN}", "GET /"]


def test_back_and_forward_show_no_form_after_sign_in_and_no_account_after_sign_out(page, user, phone):
    page.goto("/")
    steps.press(page, "Sign in")
    steps.submit_password(page, user, shows="Enter your code")
    page.go_back()
    steps.expect_heading(page, "A stolen password shouldn't be enough")
    page.go_forward()
    steps.enter_code(page, phone.code(), shows="Your account")
    page.go_back()
    steps.expect_heading(page, "Your account")
    steps.sign_out(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Your account")
    expect(page.get_by_text(user.email)).to_have_count(0)
    steps.sign_in(page, user, shows="Enter your code")
