"""The settings page: status, new codes, new phone, turning off, recent activity, and outdated pages."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.conftest import signed_in_cookies
from e2e.phone import Phone
from e2e.steps import (
    DISABLE,
    NEW_CODES,
    SETTINGS,
    SETUP,
    backup_code_field,
    client_after_password,
    code_field,
    enter_backup_code,
    enter_code,
    expect_field_error,
    expect_heading,
    expect_text,
    hold_requests,
    make_new_backup_codes,
    open_setup,
    password_field,
    press,
    record_requests,
    return_to_tab,
    save_backup_codes,
    scan_new_phone,
    sign_in,
    sign_out,
    submit_password,
    submit_proof,
    turn_off,
    turn_on,
    use_cookies_of,
    use_up_backup_codes,
    wrong_code,
)
from twofactor.models import Authenticator

TITLE = "Two-factor authentication"


def status(page: Page) -> Locator:
    return page.get_by_role("main")


def expect_status(page: Page, word: str, *, left: int | None = None) -> None:
    expect_heading(page, TITLE)
    expect(status(page).get_by_text(word, exact=True)).to_be_visible()
    if left is not None:
        expect(status(page)).to_contain_text(re.compile(rf"Backup codes left\s*{left}\b"))


# --- Status ---------------------------------------------------------------------------------------


def test_the_account_page_shows_the_status_and_links_to_the_setup(signed_in: Page) -> None:
    signed_in.goto("/")
    expect(signed_in.get_by_role("main").get_by_text("Off", exact=True)).to_be_visible()
    press(signed_in, "Turn on")
    expect_heading(signed_in, "Turn on two-factor authentication")


def test_the_status_shows_the_date_and_the_number_of_codes_left(signed_in_with_code: Page) -> None:
    signed_in_with_code.goto("/")
    press(signed_in_with_code, "Manage")
    expect_status(signed_in_with_code, "On", left=10)
    since = Authenticator.objects.get().created_at
    expect(status(signed_in_with_code).get_by_text("On since")).to_be_visible()
    expect(status(signed_in_with_code)).to_contain_text(str(since.year))


def test_three_codes_or_fewer_show_a_warning(signed_in_with_code: Page) -> None:
    warning = status(signed_in_with_code).get_by_text("left. Make new ones before you need them.")
    for used, left, warned in ((6, 4, 0), (1, 3, 1), (2, 1, 1)):
        use_up_backup_codes(used)
        signed_in_with_code.goto(SETTINGS)
        expect_status(signed_in_with_code, "On", left=left)
        expect(warning).to_have_count(warned)
    use_up_backup_codes(1)
    signed_in_with_code.goto(SETTINGS)
    expect(status(signed_in_with_code)).to_contain_text("You have no backup codes left. Make new ones now.")


# --- Sign out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", SETTINGS])
def test_sign_out_works_from_every_page(signed_in: Page, path: str) -> None:
    signed_in.goto(path)
    sign_out(signed_in)
    signed_in.goto(SETTINGS)
    expect_heading(signed_in, "Sign in")


# --- New codes ------------------------------------------------------------------------------------


def test_password_and_code_make_new_backup_codes_and_the_old_ones_are_refused(
    signed_in_with_code: Page, user: User, phone: Phone, backup_codes: list[str]
) -> None:
    use_up_backup_codes(3)
    signed_in_with_code.goto(SETTINGS)
    press(signed_in_with_code, "New backup codes")
    expect_text(signed_in_with_code, "The 7 old codes that are left stop working")
    submit_proof(signed_in_with_code, "Make new codes", code=phone.code())
    codes = save_backup_codes(signed_in_with_code)
    assert not set(codes) & set(backup_codes)
    expect_status(signed_in_with_code, "On", left=10)
    signed_in_with_code.context.clear_cookies()
    sign_in(signed_in_with_code, user)
    press(signed_in_with_code, "Use a backup code")
    enter_backup_code(signed_in_with_code, backup_codes[9])
    expect_field_error(backup_code_field(signed_in_with_code), "That is not one of your unused backup codes.")
    enter_backup_code(signed_in_with_code, codes[9])
    expect_text(signed_in_with_code, "9 are left")


def test_password_and_backup_code_make_new_backup_codes(signed_in_with_code: Page, backup_codes: list[str]) -> None:
    make_new_backup_codes(signed_in_with_code, backup_code=backup_codes[0])
    expect_status(signed_in_with_code, "On", left=10)


def test_each_change_shows_errors_next_to_their_fields(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    before = Authenticator.objects.get().version
    for button, path in (("Make new codes", NEW_CODES), ("Turn off", DISABLE), ("Continue", SETUP)):
        page.goto(path)
        password_field(page).fill("not-the-password")
        code_field(page).fill(phone.code())
        press(page, button)
        expect_field_error(password_field(page), "That is not your password.")
        expect(code_field(page)).to_have_value("")
        submit_proof(page, button, code=wrong_code(phone))
        expect_field_error(code_field(page), "That code is not right.")
        expect(password_field(page)).to_have_value(PASSWORD)
    assert Authenticator.objects.get().version == before


def test_each_change_can_be_cancelled(signed_in_with_code: Page) -> None:
    page = signed_in_with_code
    before = Authenticator.objects.get().version
    page.goto(SETTINGS)
    for action in ("New backup codes", "New phone", "Turn off"):
        press(page, action)
        press(page, "Use a backup code")
        expect(backup_code_field(page)).to_be_visible()
        press(page, "Use a code from your app")
        expect(code_field(page)).to_be_visible()
        press(page, "Cancel")
        expect_status(page, "On", left=10)
    assert Authenticator.objects.get().version == before


# --- New phone ------------------------------------------------------------------------------------


def test_the_old_phone_works_until_the_new_one_is_confirmed(
    signed_in_with_code: Page, user: User, phone: Phone, new_context: Any
) -> None:
    page = signed_in_with_code
    new_phone = scan_new_phone(page, code=phone.code())
    assert new_phone.secret != phone.secret
    elsewhere = new_context().new_page()
    sign_in(elsewhere, user)
    enter_code(elsewhere, phone.code(steps_ahead=1))
    expect_heading(elsewhere, "Your account")
    press(page, "Continue")
    enter_code(page, new_phone.code())
    save_backup_codes(page)
    elsewhere.goto(SETTINGS)  # the change has signed this browser out
    expect_heading(elsewhere, "Sign in")
    submit_password(elsewhere, user)
    enter_code(elsewhere, phone.code(steps_ahead=1))
    expect_field_error(code_field(elsewhere), "That code is not right.")
    enter_code(elsewhere, new_phone.code(steps_ahead=1))
    expect_status(elsewhere, "On", left=10)


def test_a_lost_phone_is_replaced_with_a_backup_code(signed_in_with_code: Page, backup_codes: list[str]) -> None:
    new_phone = scan_new_phone(signed_in_with_code, backup_code=backup_codes[0])
    press(signed_in_with_code, "Continue")
    enter_code(signed_in_with_code, new_phone.code())
    save_backup_codes(signed_in_with_code)
    assert Authenticator.objects.get().secret == new_phone.secret


def test_cancelling_a_new_phone_keeps_the_old_one(signed_in_with_code: Page, phone: Phone) -> None:
    scan_new_phone(signed_in_with_code, code=phone.code())
    press(signed_in_with_code, "Continue")
    expect_heading(signed_in_with_code, "Enter the code from your app")
    press(signed_in_with_code, "Cancel")
    expect_status(signed_in_with_code, "On", left=10)
    assert Authenticator.objects.get().secret == phone.secret


# --- Turning off ----------------------------------------------------------------------------------


def test_a_code_turns_2fa_off(signed_in_with_code: Page, user: User, phone: Phone) -> None:
    turn_off(signed_in_with_code, code=phone.code())
    expect_status(signed_in_with_code, "Off")
    expect(signed_in_with_code).to_have_url(re.compile(f"{SETTINGS}$"))
    sign_out(signed_in_with_code)
    sign_in(signed_in_with_code, user)
    expect_heading(signed_in_with_code, "Your account")


def test_a_backup_code_turns_2fa_off(signed_in_with_code: Page, backup_codes: list[str]) -> None:
    turn_off(signed_in_with_code, backup_code=backup_codes[0])
    expect_status(signed_in_with_code, "Off")


def test_staff_cannot_turn_off(signed_in_with_code: Page, user: User) -> None:
    User.objects.update(is_staff=True)
    signed_in_with_code.goto(SETTINGS)
    expect(status(signed_in_with_code)).to_contain_text("so it cannot be turned off")
    signed_in_with_code.goto(DISABLE)
    expect_status(signed_in_with_code, "On")


# --- Two clicks -----------------------------------------------------------------------------------


@pytest.mark.expected_status(0)
def test_a_later_click_on_a_link_replaces_the_request_of_an_earlier_one(signed_in_with_code: Page) -> None:
    page = signed_in_with_code
    page.goto(SETTINGS)
    made = record_requests(page)
    held = hold_requests(page, "/accounts/sessions/")
    with page.expect_request("**/accounts/sessions/"):
        press(page, "Sessions")
    press(page, "E-mail")
    expect_heading(page, "E-mail addresses")
    assert made == ["GET /accounts/sessions/", "GET /accounts/email/"]
    assert len(held) == 1


@pytest.mark.expected_status(0)
def test_a_click_on_a_link_replaces_the_request_of_a_form(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(DISABLE)
    held = hold_requests(page, DISABLE)
    with page.expect_request(f"**{DISABLE}"):
        submit_proof(page, "Turn off", code=phone.code())
    press(page, "Cancel")
    expect_status(page, "On", left=10)
    assert len(held) == 1


@pytest.mark.expected_status(0)
def test_a_form_replaces_the_request_of_a_link_and_is_sent_once(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(DISABLE)
    made = record_requests(page)
    held = hold_requests(page, SETTINGS)
    password_field(page).fill(PASSWORD)
    code_field(page).fill(phone.code())
    with page.expect_request(f"**{SETTINGS}"):
        press(page, "Cancel")
    page.get_by_role("button", name="Turn off").dblclick()
    expect_text(page, "Two-factor authentication is off.")
    assert len(held) == 1
    assert made == [f"GET {SETTINGS}", f"POST {DISABLE}"]


# --- Other tabs, other browsers, ended sessions ---------------------------------------------------


def test_the_status_follows_a_change_in_another_tab(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    signed_in.evaluate("window.isSamePage = true")
    turn_on(signed_in.context.new_page())
    return_to_tab(signed_in)
    expect_status(signed_in, "On", left=10)
    use_up_backup_codes(8)
    return_to_tab(signed_in)
    expect_status(signed_in, "On", left=2)
    expect(status(signed_in)).to_contain_text("You have 2 backup codes left.")
    assert signed_in.evaluate("window.isSamePage") is True


def test_what_can_be_done_follows_a_change_in_another_tab(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    turn_on(signed_in.context.new_page())
    return_to_tab(signed_in)
    expect_status(signed_in, "On")
    expect(status(signed_in).get_by_role("link", name="New phone")).to_be_visible()
    expect(status(signed_in).get_by_role("link", name="Turn on")).to_have_count(0)


def test_an_ended_session_redirects_to_sign_in_and_back_to_the_page(
    signed_in_with_code: Page, user: User, phone: Phone, base_url: str
) -> None:
    signed_in_with_code.goto(SETTINGS)
    signed_in_with_code.context.clear_cookies(name="sessionid")
    press(signed_in_with_code, "New backup codes")
    expect_heading(signed_in_with_code, "Sign in")
    submit_password(signed_in_with_code, user)
    enter_code(signed_in_with_code, phone.code())
    expect_status(signed_in_with_code, "On")
    expect(signed_in_with_code).to_have_url(f"{base_url}{SETTINGS}")


def test_an_ended_session_redirects_a_refreshed_tab_to_sign_in(signed_in_with_code: Page) -> None:
    signed_in_with_code.goto(SETTINGS)
    signed_in_with_code.context.clear_cookies(name="sessionid")
    return_to_tab(signed_in_with_code)
    expect_heading(signed_in_with_code, "Sign in")
    assert parse_qs(urlsplit(signed_in_with_code.url).query) == {"next": [SETTINGS]}


def test_an_ended_session_redirects_a_form_to_sign_in_and_back_to_the_form(
    signed_in_with_code: Page, user: User, phone: Phone, base_url: str
) -> None:
    signed_in_with_code.goto(SETTINGS)
    press(signed_in_with_code, "New backup codes")
    expect(password_field(signed_in_with_code)).to_be_visible()
    signed_in_with_code.context.clear_cookies(name="sessionid")
    submit_proof(signed_in_with_code, "Make new codes", code=phone.code())
    expect_heading(signed_in_with_code, "Sign in")
    submit_password(signed_in_with_code, user)
    enter_code(signed_in_with_code, phone.code())
    expect_heading(signed_in_with_code, "New backup codes")
    expect(signed_in_with_code).to_have_url(f"{base_url}{NEW_CODES}")


@pytest.mark.parametrize("action", ["New backup codes", "Turn off"])
def test_an_open_form_shows_that_2fa_was_turned_off_in_another_tab(
    signed_in_with_code: Page, phone: Phone, backup_codes: list[str], action: str
) -> None:
    signed_in_with_code.goto(SETTINGS)
    press(signed_in_with_code, action)
    expect(password_field(signed_in_with_code)).to_be_visible()
    turn_off(signed_in_with_code.context.new_page(), code=phone.code())
    button = "Make new codes" if action == "New backup codes" else action
    submit_proof(signed_in_with_code, button, code=phone.code(steps_ahead=1))
    expect_status(signed_in_with_code, "Off")


def test_turning_2fa_on_elsewhere_ends_an_open_setup(page: Page, user: User, secret: str) -> None:
    open_setup(page, user)
    Authenticator.objects.activate(user, secret=secret)
    press(page, "Continue")
    expect_heading(page, "Sign in")
    expect_text(page, "You were signed out, because two-factor authentication changed.")
    assert Authenticator.objects.get().secret == secret


def test_a_change_signs_out_every_other_browser(
    signed_in_with_code: Page, user: User, phone: Phone, backup_codes: list[str], new_context: Any, base_url: str
) -> None:
    other = new_context()
    other.add_cookies(signed_in_cookies(user, base_url, code=phone.code()))
    page = other.new_page()
    page.goto(SETTINGS)
    expect_status(page, "On")
    make_new_backup_codes(signed_in_with_code, backup_code=backup_codes[0])
    press(page, "New phone")
    expect_heading(page, "Sign in")
    signed_in_with_code.reload()
    expect_status(signed_in_with_code, "On", left=10)


# --- Recent activity ------------------------------------------------------------------------------


def test_recent_activity_lists_events_newest_first(
    page: Page, user: User, emails_to: Callable[[str], list[Any]]
) -> None:
    phone = Phone("")
    client = client_after_password(user)
    phone.secret = client.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
    codes = client.post("/accounts/2fa/verify-setup/", {"code": phone.code()}).context["codes"]
    client.post(NEW_CODES, {"password": PASSWORD, "backup_code": codes[0]})
    client.post(DISABLE, {"password": PASSWORD, "code": phone.code(steps_ahead=1)})
    use_cookies_of(client, page)
    page.goto(SETTINGS)
    activity = page.get_by_role("list").filter(has_text="turned on")
    assert [item.split("\n")[0] for item in activity.get_by_role("listitem").all_inner_texts()] == [
        "Two-factor authentication turned off",
        "New backup codes made",
        "Backup code used",
        "Two-factor authentication turned on",
    ]
    expect(activity).to_contain_text("127.0.0.1")
    assert len(emails_to(user.email)) == 4
