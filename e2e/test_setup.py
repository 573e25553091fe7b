"""Turning 2FA on: the QR code read off the screen, the three steps, the ways back and out, the backup codes."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Dialog, Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone, code_at
from e2e.steps import (
    SETTINGS,
    SETUP,
    backup_codes_on,
    begin_setup,
    code_field,
    enter_code,
    expect_heading,
    expect_said,
    expect_said_beside,
    give_password,
    key_of,
    password_field,
    press,
    qr_code,
    requests_of,
    save_backup_codes,
    session_of,
    setup_under_way,
    sign_out,
    turn_on,
    wrong_code,
)
from twofactor.models import Authenticator

TURN_ON, ENTER_CODE = "Turn on two-factor authentication", "Enter the code from your app"


def expect_off(page: Page) -> None:
    """See that this is the settings page, and that it says so."""
    expect_heading(page, "Two-factor authentication")
    expect(page.get_by_role("main").get_by_text("Off", exact=True)).to_be_visible()
    assert not Authenticator.objects.exists()


def expect_setup_over(page: Page) -> None:
    """See that setup begins with the password once more."""
    page.goto(SETUP)
    expect_heading(page, TURN_ON)
    expect(password_field(page)).to_be_visible()
    expect(qr_code(page)).to_have_count(0)


@pytest.fixture
def scanned(page: Page, user: User) -> Phone:
    """The browser shows step 1, and this phone has the key."""
    return setup_under_way(page, user)


@pytest.fixture
def verifying(page: Page, scanned: Phone) -> Phone:
    """The browser asks for the code of this phone."""
    press(page, "Continue")
    expect_heading(page, ENTER_CODE)
    return scanned


# --- The phone ------------------------------------------------------------------------------------


def test_turning_on_by_reading_the_qr_code_off_the_screen(signed_in: Page, user: User) -> None:
    phone = turn_on(signed_in)
    expect(signed_in.get_by_role("main").get_by_text("On", exact=True)).to_be_visible()
    authenticator = Authenticator.objects.get(user=user)
    assert (authenticator.secret, authenticator.codes_left) == (phone.secret, 10)
    assert unquote(phone.uri).startswith(f"otpauth://totp/Twofactor:{user.email}?")
    assert "issuer=Twofactor" in phone.uri


def test_the_key_typed_by_hand_says_what_the_qr_code_says(page: Page, scanned: Phone) -> None:
    assert Phone.scan(qr_code(page)).secret == scanned.secret
    press(page, "Continue")
    enter_code(page, scanned.code())
    backup_codes_on(page)


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_the_key_can_be_copied(page: Page, scanned: Phone) -> None:
    press(page, "Copy key")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == scanned.secret


def test_the_qr_code_can_be_read_in_dark_mode(page: Page, scanned: Phone) -> None:
    for forced_colors in ("none", "active"):
        page.emulate_media(color_scheme="dark", forced_colors=forced_colors)
        assert Phone.scan(qr_code(page)).secret == scanned.secret


# --- Wrong passwords and codes --------------------------------------------------------------------


def test_a_wrong_password_is_said_beside_its_field_and_shows_no_key(signed_in: Page) -> None:
    signed_in.goto(SETUP)
    password_field(signed_in).fill("not-the-password")
    press(signed_in, "Continue")
    expect_said_beside(password_field(signed_in), "That is not your password.")
    expect(qr_code(signed_in)).to_have_count(0)
    expect_setup_over(signed_in)


def test_a_wrong_code_is_said_beside_its_field_and_the_next_one_works(page: Page, verifying: Phone) -> None:
    expect(code_field(page)).to_be_focused()
    enter_code(page, wrong_code(verifying))
    expect_said_beside(code_field(page), "That code is not right.")
    expect(code_field(page)).to_have_value("")
    assert not Authenticator.objects.exists()
    enter_code(page, verifying.code())
    backup_codes_on(page)


def test_a_phone_whose_clock_is_off_is_told_by_how_much(page: Page, verifying: Phone) -> None:
    enter_code(page, code_at(verifying.secret, time.time() + 300))
    expect_said_beside(code_field(page), "Your phone's clock is 5 minutes ahead.")
    enter_code(page, code_at(verifying.secret, time.time() - 300))
    expect_said_beside(code_field(page), "Your phone's clock is 5 minutes behind.")


def test_five_digits_are_no_code(page: Page, verifying: Phone) -> None:
    code_field(page).fill("12345")
    press(page, "Verify and turn on")
    expect_said_beside(code_field(page), "A code has six digits")


def test_five_wrong_codes_end_the_setup(page: Page, verifying: Phone) -> None:
    for _ in range(4):
        enter_code(page, wrong_code(verifying))
        expect_said_beside(code_field(page), "That code is not right.")
        # The field stands empty again; only then can the next code be told from the last one.
        expect(code_field(page)).to_have_value("")
    enter_code(page, wrong_code(verifying))
    expect_heading(page, TURN_ON)
    expect_said(page, "That setup is over. Please begin again.")
    expect_setup_over(page)


# --- Back, Cancel, reload, two tabs ---------------------------------------------------------------


def test_cancel_before_the_first_step_leads_back_to_the_settings(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    press(signed_in, "Turn on")
    expect_heading(signed_in, TURN_ON)
    press(signed_in, "Cancel")
    expect_off(signed_in)


def test_cancel_at_the_first_step_forgets_the_key(page: Page, scanned: Phone) -> None:
    press(page, "Cancel")
    expect_off(page)
    expect_setup_over(page)


def test_cancel_at_the_second_step_forgets_the_key(page: Page, verifying: Phone) -> None:
    press(page, "Cancel")
    expect_off(page)
    go_back(page)
    expect(qr_code(page)).to_have_count(0)
    expect_setup_over(page)


def test_back_at_the_second_step_shows_the_same_key(page: Page, verifying: Phone) -> None:
    press(page, "Back")
    expect(qr_code(page)).to_be_visible()
    assert key_of(page) == Phone.scan(qr_code(page)).secret == verifying.secret
    press(page, "Continue")
    enter_code(page, verifying.code())
    backup_codes_on(page)


def test_reload_the_back_button_and_a_second_tab_show_the_same_key(page: Page, scanned: Phone) -> None:
    page.reload()
    assert key_of(page) == scanned.secret
    press(page, "Continue")
    expect_heading(page, ENTER_CODE)
    page.reload()
    expect_heading(page, ENTER_CODE)
    page.go_back()
    expect(qr_code(page)).to_be_visible()
    assert key_of(page) == scanned.secret
    second_tab = page.context.new_page()
    second_tab.goto(SETUP)
    assert key_of(second_tab) == scanned.secret


def test_a_second_tab_can_finish_what_the_first_began(page: Page, scanned: Phone) -> None:
    second_tab = page.context.new_page()
    second_tab.goto("/accounts/2fa/verify-setup/")
    enter_code(second_tab, scanned.code())
    backup_codes_on(second_tab)
    press(page, "Continue")
    expect_heading(page, "Two-factor authentication")
    expect_said(page, "Your backup codes are shown only once.")


def test_two_tabs_that_begin_one_after_the_other_share_one_key(signed_in: Page) -> None:
    second_tab = signed_in.context.new_page()
    second_tab.goto(SETUP)
    secret = begin_setup(signed_in).secret
    password_field(second_tab).fill("whatever is typed here")
    press(second_tab, "Continue")
    expect(qr_code(second_tab)).to_be_visible()
    assert key_of(second_tab) == secret


def test_a_change_of_the_language_stays_in_the_setup(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    press(signed_in, "Turn on")
    password_field(signed_in).fill(PASSWORD)
    press(signed_in, "Continue")
    expect(qr_code(signed_in)).to_be_visible()
    secret = key_of(signed_in)
    signed_in.get_by_role("combobox", name="Language").select_option("Deutsch")
    signed_in.get_by_role("button", name="Change").click()
    expect(signed_in.locator("html")).to_have_attribute("lang", "de")
    assert key_of(signed_in) == secret


# --- When a setup is over -------------------------------------------------------------------------


def test_a_setup_is_over_after_fifteen_minutes(page: Page, verifying: Phone) -> None:
    session = session_of(page)
    session["twofactor_setup"]["began"] -= 15 * 60 + 1
    session.save()
    enter_code(page, verifying.code())
    expect_heading(page, TURN_ON)
    expect_said(page, "That setup is over. Please begin again.")
    expect_setup_over(page)
    assert not Authenticator.objects.exists()


def test_a_setup_is_over_at_sign_out_and_the_back_button_shows_no_key(page: Page, user: User, scanned: Phone) -> None:
    sign_out(page)
    page.go_back()
    expect_heading(page, "Sign in")
    assert scanned.secret not in page.content().replace(" ", "")
    give_password(page, user)
    expect_heading(page, TURN_ON)
    expect_setup_over(page)


# --- The backup codes -----------------------------------------------------------------------------


@pytest.fixture
def codes_shown(page: Page, verifying: Phone) -> Page:
    """Step 3, with the ten codes on it."""
    enter_code(page, verifying.code())
    expect_heading(page, "Save your backup codes")
    expect_said(page, "Step 3 of 3")
    return page


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_copy_puts_the_ten_codes_on_the_clipboard(codes_shown: Page) -> None:
    press(codes_shown, "Copy")
    expect(codes_shown.get_by_role("button", name="Copied")).to_be_visible()
    expect(codes_shown.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert codes_shown.evaluate("navigator.clipboard.readText()").split() == backup_codes_on(codes_shown)


def test_download_gives_a_text_file_with_site_account_date_and_codes(codes_shown: Page, user: User) -> None:
    with codes_shown.expect_download() as download:
        press(codes_shown, "Download")
    assert download.value.suggested_filename == "twofactor-backup-codes.txt"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "Twofactor" in text
    assert user.email in text
    assert str(Authenticator.objects.get().created_at.year) in text
    assert [line for line in text.splitlines() if re.fullmatch(r"[0-9A-Z-]{19}", line)] == backup_codes_on(codes_shown)


def test_on_paper_are_the_codes_and_what_they_are_for_and_nothing_else(codes_shown: Page, user: User) -> None:
    codes = backup_codes_on(codes_shown)
    codes_shown.evaluate("window.print = () => { window.printed = true }")
    press(codes_shown, "Print")
    assert codes_shown.evaluate("window.printed") is True
    codes_shown.emulate_media(media="print")
    on_paper = codes_shown.locator("body").inner_text()
    assert [line.strip() for line in on_paper.splitlines() if line.strip() in codes] == codes
    assert f"Twofactor backup codes for {user.email}" in on_paper
    main = codes_shown.get_by_role("main")
    expect(main.get_by_role("button").or_(main.get_by_role("heading")).or_(main.get_by_role("checkbox"))).to_have_count(
        0
    )
    expect(codes_shown.get_by_role("banner").or_(codes_shown.get_by_role("contentinfo"))).to_have_count(0)


def test_paper_is_white_in_a_dark_room_too(codes_shown: Page) -> None:
    codes_shown.emulate_media(media="print", color_scheme="dark")
    card = codes_shown.get_by_role("region", name="Save your backup codes", include_hidden=True)
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(card).to_have_css("color", "rgb(0, 0, 0)")
    expect(codes_shown.locator("html")).to_have_css("--bad", "#ab2417")


def test_a_code_can_be_compared_with_its_copy_and_nothing_is_sent(codes_shown: Page) -> None:
    code = backup_codes_on(codes_shown)[6]
    sent = requests_of(codes_shown)
    codes_shown.get_by_text("Check what you wrote down").click()
    typed_back = codes_shown.get_by_role("textbox", name="Type one of the codes from your copy")
    typed_back.fill(code.lower().replace("-", " "))
    expect_said(codes_shown, "That is one of your codes.")
    typed_back.fill("0000-0000-0000-0000")
    expect_said(codes_shown, "That is none of these codes.")
    assert sent == []


def test_done_asks_for_the_box(codes_shown: Page) -> None:
    sent = requests_of(codes_shown)
    press(codes_shown, "Done")
    expect(codes_shown.get_by_role("checkbox", name="I have saved these codes")).to_be_focused()
    expect_heading(codes_shown, "Save your backup codes")
    assert sent == []
    codes_shown.get_by_role("checkbox").check()
    press(codes_shown, "Done")
    expect_heading(codes_shown, "Two-factor authentication")


def expect_nowhere(page: Page, codes: Iterable[str]) -> None:
    """See that the codes are neither on the page, nor in its history's state, nor in web storage."""
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, location.href])")
    everywhere = page.content() + kept
    assert "html" in everywhere
    assert not [code for code in codes if code in everywhere or code.replace("-", "") in everywhere]


def go_back(page: Page) -> None:
    """There and, since htmx keeps no pages, loaded anew."""
    with page.expect_event("load"):
        page.go_back()


def reload(page: Page) -> None:
    page.reload()


def leave_and_go_back(page: Page) -> None:
    page.goto("/")
    page.go_back()


@pytest.mark.parametrize("then", [go_back, reload, leave_and_go_back])
def test_the_codes_are_shown_once_and_the_page_says_so_then(codes_shown: Page, then: Callable[[Page], None]) -> None:
    codes = backup_codes_on(codes_shown)
    then(codes_shown)
    expect_heading(codes_shown, "Two-factor authentication")
    expect_said(codes_shown, "Your backup codes are shown only once.")
    expect_nowhere(codes_shown, codes)


def answer(page: Page, *, leave: bool) -> list[str]:
    """Answer the question whether to leave; return the kinds of question that were asked."""
    asked: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", on_dialog)
    return asked


def test_leaving_before_the_codes_are_saved_asks_first(codes_shown: Page) -> None:
    asked = answer(codes_shown, leave=False)
    codes_shown.get_by_role("banner").get_by_role("link").click()
    expect_heading(codes_shown, "Save your backup codes")
    codes_shown.evaluate("window.setTimeout(() => location.reload())")
    expect_heading(codes_shown, "Save your backup codes")
    codes_shown.evaluate("htmx.ajax('GET', '/accounts/email/', {source: '#panel', target: '#panel'})")
    expect_heading(codes_shown, "Save your backup codes")
    assert sorted(asked) == ["beforeunload", "beforeunload", "confirm"]


def test_leaving_with_the_codes_saved_asks_nothing(codes_shown: Page) -> None:
    asked = answer(codes_shown, leave=True)
    codes_shown.get_by_role("checkbox", name="I have saved these codes").check()
    codes_shown.get_by_role("banner").get_by_role("link").click()
    expect_heading(codes_shown, "Your account")
    assert asked == []


def test_after_done_the_codes_are_nowhere_in_the_browser(codes_shown: Page) -> None:
    codes = save_backup_codes(codes_shown)
    expect_nowhere(codes_shown, codes)
    go_back(codes_shown)
    expect_heading(codes_shown, "Set up a new phone")
    expect_nowhere(codes_shown, codes)
