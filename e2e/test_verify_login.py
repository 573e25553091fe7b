"""Sign-in with a code or a backup code, in the panel of the password."""

import re
from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone
from e2e.steps import (
    NEW_PASSWORD,
    VERIFY_LOGIN,
    backup_code_field,
    client_after_password,
    code_field,
    enter_backup_code,
    enter_code,
    expect_field_error,
    expect_heading,
    expect_text,
    hold_requests,
    let_a_minute_pass,
    password_field,
    press,
    qr_code,
    record_requests,
    session_of,
    sign_in,
    sign_in_with_code,
    sign_out,
    submit_password,
    use_cookies_of,
    wrong_code,
)
from twofactor.models import Authenticator, PendingSignIn

WRONG = "That code is not right."
AGAIN = "Please sign in again."


@pytest.fixture
def code_page(page: Page, user: User, phone: Phone) -> Page:
    """A page with the code form, after the password."""
    use_cookies_of(client_after_password(user), page)
    page.goto(VERIFY_LOGIN)
    return page


def expect_signed_out(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()


# --- In place -------------------------------------------------------------------------------------


def test_the_answer_to_the_password_has_the_code_form_and_changes_the_url(page: Page, user: User, phone: Phone) -> None:
    page.goto("/accounts/login/")
    page.evaluate("window.isSamePage = true")
    made = record_requests(page)
    submit_password(page, user)
    expect_heading(page, "Enter your code")
    expect(page).to_have_url(re.compile(f"{VERIFY_LOGIN}$"))
    assert made == ["POST /accounts/login/"]
    assert page.evaluate("window.isSamePage") is True
    expect(page).to_have_title(re.compile("^Enter your code"))
    # The link of the site's name, and no link to sign in.
    expect(page.get_by_role("banner").get_by_role("link")).to_have_count(1)


def test_a_reload_stays_at_the_code_form(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    page.reload()
    expect_heading(page, "Enter your code")
    expect(page).to_have_url(re.compile(f"{VERIFY_LOGIN}$"))
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def test_the_code_field_has_code_attributes_and_the_focus(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    field = code_field(page)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("autocomplete", "one-time-code")
    expect(field).to_have_attribute("inputmode", "numeric")
    page.reload()
    expect(field).to_be_focused()


def test_the_sign_in_form_supports_password_managers(page: Page) -> None:
    page.goto("/accounts/login/")
    expect(page.get_by_label("E-mail")).to_have_attribute("autocomplete", "username")
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(password_field(page)).to_have_attribute("autocomplete", "current-password")


def test_a_wrong_password_does_not_reveal_whether_the_address_is_known(page: Page, user: User, phone: Phone) -> None:
    said = []
    for email in (user.email, "nobody@example.com"):
        page.goto("/accounts/login/")
        page.get_by_label("E-mail").fill(email)
        password_field(page).fill("not-the-password")
        press(page, "Sign in")
        expect_field_error(password_field(page), "That address and that password do not belong together.")
        said.append(page.get_by_role("main").inner_text())
        expect(page.get_by_label("E-mail")).to_have_value(email)
        expect(password_field(page)).to_have_value("")
    assert said[0] == said[1] != ""


def test_the_method_can_be_switched_in_place(code_page: Page, phone: Phone) -> None:
    code_page.evaluate("window.isSamePage = true")
    press(code_page, "Use a backup code")
    expect_heading(code_page, "Use a backup code")
    expect(backup_code_field(code_page)).to_be_focused()
    expect(code_field(code_page)).to_have_count(0)
    code_page.reload()
    expect(backup_code_field(code_page)).to_be_focused()
    code_page.evaluate("window.isSamePage = true")
    press(code_page, "Use a code from your app")
    expect_heading(code_page, "Enter your code")
    expect(code_field(code_page)).to_be_focused()
    assert code_page.evaluate("window.isSamePage") is True
    enter_code(code_page, phone.code())
    expect_heading(code_page, "Your account")


def test_changing_the_language_keeps_the_code_form(code_page: Page, phone: Phone) -> None:
    code_page.get_by_role("combobox", name="Language").select_option("Deutsch")
    code_page.get_by_role("button", name="Change").click()
    expect(code_page.locator("html")).to_have_attribute("lang", "de")
    expect(code_page).to_have_url(re.compile(f"{VERIFY_LOGIN}$"))


# --- The code -------------------------------------------------------------------------------------


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_a_code_can_be_pasted_with_a_space(code_page: Page, phone: Phone) -> None:
    code = phone.code()
    code_page.evaluate("text => navigator.clipboard.writeText(text)", f"{code[:3]} {code[3:]}")
    expect(code_field(code_page)).to_be_focused()
    code_page.keyboard.press("Control+V")
    expect_heading(code_page, "Your account")


def test_the_sixth_digit_submits_the_form(code_page: Page, phone: Phone) -> None:
    made = record_requests(code_page)
    code = phone.code()
    code_field(code_page).press_sequentially(code[:5])
    assert made == []
    code_field(code_page).press_sequentially(code[5:])
    expect_heading(code_page, "Your account")
    assert made == [f"POST {VERIFY_LOGIN}", "GET /"]


def double_click(page: Page) -> None:
    box = page.get_by_role("button", name="Continue").bounding_box()
    assert box
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def press_enter(page: Page) -> None:
    page.keyboard.press("Enter")


def keep_typing(page: Page) -> None:
    page.keyboard.press("End")
    page.keyboard.type("1")
    page.keyboard.press("Backspace")


@pytest.mark.parametrize("repeat", [double_click, press_enter, keep_typing])
def test_a_code_is_sent_only_once(code_page: Page, phone: Phone, repeat: Callable[[Page], None]) -> None:
    made = record_requests(code_page)
    held = hold_requests(code_page)
    with code_page.expect_request(f"**{VERIFY_LOGIN}"):
        enter_code(code_page, phone.code())
    repeat(code_page)
    held[0].continue_()
    expect_heading(code_page, "Your account")
    assert made == [f"POST {VERIFY_LOGIN}", "GET /"]


def test_a_double_click_on_the_sign_in_button_sends_the_password_once(page: Page, user: User, phone: Phone) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("E-mail").fill(user.email)
    password_field(page).fill("not-the-password")
    made = record_requests(page)
    page.get_by_role("main").get_by_role("button", name="Sign in").dblclick()
    expect_field_error(password_field(page), "That address and that password do not belong together.")
    assert made == ["POST /accounts/login/"]


def test_a_wrong_code_is_a_field_error_and_the_next_code_submits_itself(code_page: Page, phone: Phone) -> None:
    enter_code(code_page, wrong_code(phone))
    expect_field_error(code_field(code_page), WRONG)
    expect(code_field(code_page)).to_have_value("")
    enter_code(code_page, phone.code())
    expect_heading(code_page, "Your account")


def test_a_used_code_is_refused(page: Page, user: User, phone: Phone) -> None:
    code = phone.code()
    sign_in(page, user)
    enter_code(page, code)
    expect_heading(page, "Your account")
    sign_out(page)
    use_cookies_of(client_after_password(user), page)
    page.goto(VERIFY_LOGIN)
    enter_code(page, code)
    expect_field_error(code_field(page), WRONG)


def test_a_malformed_code_is_a_field_error_and_never_charged(code_page: Page) -> None:
    for typed in ("", "12345", "1234567", "abcdef", "\u00b9\u00b2\u00b3\u2074\u2075\u2076"):
        code_page.reload()
        code_page.evaluate("for (const form of document.forms) form.noValidate = true")
        code_field(code_page).fill(typed)
        press(code_page, "Continue")
        expect_field_error(code_field(code_page), "A code has six digits" if typed else "Enter the code")
    assert Authenticator.objects.get().failures == 0
    assert not PendingSignIn.objects.exists()


def test_during_a_delay_the_page_shows_the_wait_and_a_backup_code_works(
    code_page: Page, phone: Phone, backup_codes: list[str]
) -> None:
    Authenticator.objects.update(failures=5, delayed_until=timezone.now().timestamp() + 3600)
    enter_code(code_page, phone.code())
    expect_field_error(code_field(code_page), "a backup code works now")
    press(code_page, "Use a backup code")
    enter_backup_code(code_page, backup_codes[0])
    expect_heading(code_page, "Your account")


# --- The backup code ------------------------------------------------------------------------------


def test_a_backup_code_works_once_and_the_page_shows_how_many_are_left(
    page: Page, user: User, backup_codes: list[str]
) -> None:
    sign_in(page, user)
    press(page, "Use a backup code")
    enter_backup_code(page, backup_codes[3].lower())
    expect_heading(page, "Your account")
    expect_text(page, "You used a backup code. 9 are left.")
    sign_out(page)
    sign_in(page, user)
    press(page, "Use a backup code")
    enter_backup_code(page, backup_codes[3])
    expect_field_error(backup_code_field(page), "That is not one of your unused backup codes.")
    enter_backup_code(page, backup_codes[4])
    expect_text(page, "You used a backup code. 8 are left.")


def test_the_backup_code_form_does_not_submit_itself(code_page: Page, backup_codes: list[str]) -> None:
    press(code_page, "Use a backup code")
    expect(backup_code_field(code_page)).to_be_focused()
    made = record_requests(code_page)
    backup_code_field(code_page).press_sequentially(backup_codes[0])
    expect(backup_code_field(code_page)).to_have_value(backup_codes[0])
    assert made == []


def test_a_malformed_backup_code_is_an_error_of_its_own_form(code_page: Page) -> None:
    press(code_page, "Use a backup code")
    enter_backup_code(code_page, "not a code")
    expect_field_error(backup_code_field(code_page), "A backup code has sixteen letters and digits")
    expect_heading(code_page, "Use a backup code")


# --- The page after sign-in -----------------------------------------------------------------------


def test_sign_in_returns_to_the_requested_page(page: Page, user: User, phone: Phone, base_url: str) -> None:
    page.goto("/accounts/email/")
    expect_heading(page, "Sign in")
    submit_password(page, user)
    enter_code(page, wrong_code(phone))
    expect_field_error(code_field(page), WRONG)
    press(page, "Use a backup code")
    expect_heading(page, "Use a backup code")
    press(page, "Use a code from your app")
    enter_code(page, phone.code())
    expect_heading(page, "E-mail addresses")
    expect(page).to_have_url(f"{base_url}/accounts/email/")


@pytest.mark.parametrize("elsewhere", ["//evil.example/", "https://evil.example/"])
def test_sign_in_never_redirects_to_another_site(
    page: Page, user: User, phone: Phone, base_url: str, elsewhere: str
) -> None:
    sign_in(page, user, at=f"/accounts/login/?next={elsewhere}")
    enter_code(page, phone.code())
    expect_heading(page, "Your account")
    expect(page).to_have_url(f"{base_url}/")


def test_the_admin_uses_the_sites_sign_in(page: Page, make_user: Callable[..., User], secret: str) -> None:
    chief = make_user("chief@example.com", is_staff=True, is_superuser=True)
    Authenticator.objects.activate(chief, secret=secret)
    page.goto("/admin/")
    expect_heading(page, "Sign in")
    submit_password(page, chief)
    expect_heading(page, "Enter your code")
    page.goto("/admin/")
    expect_heading(page, "Enter your code")
    enter_code(page, Phone(secret).code())
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def test_staff_without_2fa_must_set_it_up_and_then_reach_the_admin(page: Page, make_user: Callable[..., User]) -> None:
    sign_in(page, make_user("chief@example.com", is_staff=True, is_superuser=True), at="/accounts/login/?next=/admin/")
    expect_heading(page, "Turn on two-factor authentication")
    page.goto("/admin/")
    expect_heading(page, "Turn on two-factor authentication")
    expect(page.get_by_role("main").get_by_role("link", name="Cancel")).to_have_count(0)
    password_field(page).fill(PASSWORD)
    press(page, "Continue")
    phone = Phone.scan(qr_code(page))
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    press(page, "Continue")
    enter_code(page, phone.code())
    expect_heading(page, "Save your backup codes")
    page.get_by_role("checkbox", name="I have saved these codes").check()
    press(page, "Done")
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def test_staff_without_2fa_can_sign_out_from_the_setup(page: Page, make_user: Callable[..., User]) -> None:
    sign_in(page, make_user("chief@example.com", is_staff=True))
    expect_heading(page, "Turn on two-factor authentication")
    press(page, "Sign out")
    expect_heading(page, "A stolen password should not be enough")


def test_a_code_form_left_in_another_tab_can_be_reloaded(code_page: Page, phone: Phone) -> None:
    second_tab = code_page.context.new_page()
    second_tab.goto(VERIFY_LOGIN)
    enter_code(second_tab, phone.code())
    expect_heading(second_tab, "Your account")
    enter_code(code_page, phone.code(steps_ahead=1))
    expect_heading(code_page, "This page is out of date")
    press(code_page, "Load again")
    expect_heading(code_page, "Your account")


# --- Cancel, expiry and Back ----------------------------------------------------------------------


def test_cancel_returns_to_sign_in_and_ends_the_pending_sign_in(code_page: Page, base_url: str) -> None:
    press(code_page, "Cancel")
    expect_heading(code_page, "Sign in")
    expect(code_page).to_have_url(re.compile("/accounts/login/"))
    assert not PendingSignIn.objects.exists()
    code_page.goto(VERIFY_LOGIN)
    expect_heading(code_page, "Sign in")


def test_a_sign_in_of_ten_minutes_has_expired(code_page: Page, phone: Phone) -> None:
    session = session_of(code_page)
    session["twofactor_sign_in"]["began"] -= 601
    session.save()
    enter_code(code_page, phone.code())
    expect_heading(code_page, "Sign in")
    expect_text(code_page, "Your sign-in took longer than ten minutes.")
    expect_signed_out(code_page)


def test_five_wrong_codes_end_the_sign_in(code_page: Page, phone: Phone) -> None:
    for _ in range(4):
        enter_code(code_page, wrong_code(phone))
        expect_field_error(code_field(code_page), WRONG)
        expect(code_field(code_page)).to_have_value("")
    enter_code(code_page, wrong_code(phone))
    expect_heading(code_page, "Sign in")
    expect_text(code_page, "Too many wrong codes.")
    code_page.goto(VERIFY_LOGIN)
    expect_heading(code_page, "Sign in")
    expect_text(code_page, "Too many wrong codes.")


def change_the_password(user: User) -> None:
    user.set_password(NEW_PASSWORD)
    user.save()


def close_the_account(user: User) -> None:
    User.objects.update(is_active=False)


def turn_2fa_off(user: User) -> None:
    Authenticator.objects.get().turn_off()


@pytest.mark.parametrize("change", [change_the_password, close_the_account, turn_2fa_off])
def test_a_change_of_the_account_ends_the_pending_sign_in(
    code_page: Page, user: User, phone: Phone, change: Callable[[User], None]
) -> None:
    change(user)
    enter_code(code_page, phone.code())
    expect_heading(code_page, "Sign in")
    expect_text(code_page, AGAIN)
    expect_signed_out(code_page)


def test_the_back_button_of_the_code_form_leaves_the_sign_in(page: Page, user: User, phone: Phone) -> None:
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    submit_password(page, user)
    expect_heading(page, "Enter your code")
    page.go_back()
    expect_heading(page, "A stolen password should not be enough")
    page.go_forward()
    expect_heading(page, "Enter your code")
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def test_the_back_button_after_sign_in_shows_no_form(page: Page, user: User, phone: Phone) -> None:
    page.goto("/")
    sign_in_with_code(page, user, phone)
    page.go_back()
    expect_heading(page, "Your account")


def test_the_back_button_after_sign_out_shows_nothing_of_the_account(page: Page, user: User, phone: Phone) -> None:
    sign_in_with_code(page, user, phone)
    sign_out(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Your account")).to_have_count(0)
    expect(page.get_by_text(user.email)).to_have_count(0)
    let_a_minute_pass()
    sign_in_with_code(page, user, phone)
