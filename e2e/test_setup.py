"""Turning 2FA on: the QR code read from a screenshot, the three steps, Back and Cancel, the backup codes."""

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
    code_field,
    enter_code,
    expect_field_error,
    expect_heading,
    expect_text,
    key_of,
    open_setup,
    password_field,
    press,
    qr_code,
    record_requests,
    save_backup_codes,
    session_of,
    sign_out,
    start_setup,
    submit_password,
    turn_on,
    wrong_code,
)
from twofactor.models import Authenticator

TURN_ON = "Turn on two-factor authentication"
ENTER_CODE = "Enter the code from your app"


def expect_off(page: Page) -> None:
    """Expect the settings page with 2FA off."""
    expect_heading(page, "Two-factor authentication")
    expect(page.get_by_role("main").get_by_text("Off", exact=True)).to_be_visible()
    assert not Authenticator.objects.exists()


def expect_setup_ended(page: Page) -> None:
    """Expect the setup to start again with the password."""
    page.goto(SETUP)
    expect_heading(page, TURN_ON)
    expect(password_field(page)).to_be_visible()
    expect(qr_code(page)).to_have_count(0)


@pytest.fixture
def scanned_phone(page: Page, user: User) -> Phone:
    """Open step 1 in the browser, and return a phone with the setup key."""
    return open_setup(page, user)


@pytest.fixture
def verifying_phone(page: Page, scanned_phone: Phone) -> Phone:
    """Open step 2, which asks for the code of this phone."""
    press(page, "Continue")
    expect_heading(page, ENTER_CODE)
    return scanned_phone


# --- The phone ------------------------------------------------------------------------------------


def test_2fa_can_be_turned_on_by_scanning_the_qr_code(signed_in: Page, user: User) -> None:
    phone = turn_on(signed_in)
    expect(signed_in.get_by_role("main").get_by_text("On", exact=True)).to_be_visible()
    authenticator = Authenticator.objects.get(user=user)
    assert (authenticator.secret, authenticator.codes_left) == (phone.secret, 10)
    assert unquote(phone.uri).startswith(f"otpauth://totp/Twofactor:{user.email}?")
    assert "issuer=Twofactor" in phone.uri


def test_the_setup_key_is_the_secret_of_the_qr_code(page: Page, scanned_phone: Phone) -> None:
    assert Phone.scan(qr_code(page)).secret == scanned_phone.secret
    press(page, "Continue")
    enter_code(page, scanned_phone.code())
    backup_codes_on(page)


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_the_key_can_be_copied(page: Page, scanned_phone: Phone) -> None:
    press(page, "Copy key")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == scanned_phone.secret


def test_the_qr_code_is_readable_in_dark_mode(page: Page, scanned_phone: Phone) -> None:
    for forced_colors in ("none", "active"):
        page.emulate_media(color_scheme="dark", forced_colors=forced_colors)
        assert Phone.scan(qr_code(page)).secret == scanned_phone.secret


# --- Wrong passwords and codes --------------------------------------------------------------------


def test_a_wrong_password_is_a_field_error_and_shows_no_key(signed_in: Page) -> None:
    signed_in.goto(SETUP)
    password_field(signed_in).fill("not-the-password")
    press(signed_in, "Continue")
    expect_field_error(password_field(signed_in), "That is not your password.")
    expect(qr_code(signed_in)).to_have_count(0)
    expect_setup_ended(signed_in)


def test_a_wrong_code_is_a_field_error_and_the_next_code_works(page: Page, verifying_phone: Phone) -> None:
    expect(code_field(page)).to_be_focused()
    enter_code(page, wrong_code(verifying_phone))
    expect_field_error(code_field(page), "That code is not right.")
    expect(code_field(page)).to_have_value("")
    assert not Authenticator.objects.exists()
    enter_code(page, verifying_phone.code())
    backup_codes_on(page)


def test_a_code_of_a_phone_with_a_wrong_clock_shows_the_difference(page: Page, verifying_phone: Phone) -> None:
    enter_code(page, code_at(verifying_phone.secret, time.time() + 300))
    expect_field_error(code_field(page), "Your phone's clock is 5 minutes ahead.")
    enter_code(page, code_at(verifying_phone.secret, time.time() - 300))
    expect_field_error(code_field(page), "Your phone's clock is 5 minutes behind.")


def test_five_digits_are_a_field_error(page: Page, verifying_phone: Phone) -> None:
    code_field(page).fill("12345")
    press(page, "Verify and turn on")
    expect_field_error(code_field(page), "A code has six digits")


def test_five_wrong_codes_end_the_setup(page: Page, verifying_phone: Phone) -> None:
    for _ in range(4):
        enter_code(page, wrong_code(verifying_phone))
        expect_field_error(code_field(page), "That code is not right.")
        # Wait until the field is empty, so that the next code is not taken for the last one.
        expect(code_field(page)).to_have_value("")
    enter_code(page, wrong_code(verifying_phone))
    expect_heading(page, TURN_ON)
    expect_text(page, "That setup is over. Please begin again.")
    expect_setup_ended(page)


# --- Back, Cancel, reload, two tabs ---------------------------------------------------------------


def test_cancel_before_the_first_step_returns_to_the_settings(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    press(signed_in, "Turn on")
    expect_heading(signed_in, TURN_ON)
    press(signed_in, "Cancel")
    expect_off(signed_in)


def test_cancel_at_the_first_step_deletes_the_key(page: Page, scanned_phone: Phone) -> None:
    press(page, "Cancel")
    expect_off(page)
    expect_setup_ended(page)


def test_cancel_at_the_second_step_deletes_the_key(page: Page, verifying_phone: Phone) -> None:
    press(page, "Cancel")
    expect_off(page)
    press_back(page)
    expect(qr_code(page)).to_have_count(0)
    expect_setup_ended(page)


def test_back_at_the_second_step_shows_the_same_key(page: Page, verifying_phone: Phone) -> None:
    press(page, "Back")
    expect(qr_code(page)).to_be_visible()
    assert key_of(page) == Phone.scan(qr_code(page)).secret == verifying_phone.secret
    press(page, "Continue")
    enter_code(page, verifying_phone.code())
    backup_codes_on(page)


def test_reload_the_back_button_and_a_second_tab_show_the_same_key(page: Page, scanned_phone: Phone) -> None:
    page.reload()
    assert key_of(page) == scanned_phone.secret
    press(page, "Continue")
    expect_heading(page, ENTER_CODE)
    page.reload()
    expect_heading(page, ENTER_CODE)
    page.go_back()
    expect(qr_code(page)).to_be_visible()
    assert key_of(page) == scanned_phone.secret
    second_tab = page.context.new_page()
    second_tab.goto(SETUP)
    assert key_of(second_tab) == scanned_phone.secret


def test_a_second_tab_can_finish_the_setup_of_the_first(page: Page, scanned_phone: Phone) -> None:
    second_tab = page.context.new_page()
    second_tab.goto("/accounts/2fa/verify-setup/")
    enter_code(second_tab, scanned_phone.code())
    backup_codes_on(second_tab)
    press(page, "Continue")
    expect_heading(page, "Two-factor authentication")
    expect_text(page, "Your backup codes are shown only once.")


def test_two_tabs_share_the_key_of_the_setup(signed_in: Page) -> None:
    second_tab = signed_in.context.new_page()
    second_tab.goto(SETUP)
    secret = start_setup(signed_in).secret
    password_field(second_tab).fill("whatever is typed here")
    press(second_tab, "Continue")
    expect(qr_code(second_tab)).to_be_visible()
    assert key_of(second_tab) == secret


def test_changing_the_language_keeps_the_setup(signed_in: Page) -> None:
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


# --- The end of a setup ---------------------------------------------------------------------------


def test_a_setup_ends_after_fifteen_minutes(page: Page, verifying_phone: Phone) -> None:
    session = session_of(page)
    session["twofactor_setup"]["began"] -= 15 * 60 + 1
    session.save()
    enter_code(page, verifying_phone.code())
    expect_heading(page, TURN_ON)
    expect_text(page, "That setup is over. Please begin again.")
    expect_setup_ended(page)
    assert not Authenticator.objects.exists()


def test_sign_out_ends_the_setup_and_the_back_button_shows_no_key(page: Page, user: User, scanned_phone: Phone) -> None:
    sign_out(page)
    page.go_back()
    expect_heading(page, "Sign in")
    assert scanned_phone.secret not in page.content().replace(" ", "")
    submit_password(page, user)
    expect_heading(page, TURN_ON)
    expect_setup_ended(page)


# --- The backup codes -----------------------------------------------------------------------------


@pytest.fixture
def backup_codes_page(page: Page, verifying_phone: Phone) -> Page:
    """Open step 3, which shows the ten backup codes."""
    enter_code(page, verifying_phone.code())
    expect_heading(page, "Save your backup codes")
    expect_text(page, "Step 3 of 3")
    return page


@pytest.mark.browser_context_args(permissions=["clipboard-read", "clipboard-write"])
def test_copy_writes_the_ten_codes_to_the_clipboard(backup_codes_page: Page) -> None:
    press(backup_codes_page, "Copy")
    expect(backup_codes_page.get_by_role("button", name="Copied")).to_be_visible()
    expect(backup_codes_page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert backup_codes_page.evaluate("navigator.clipboard.readText()").split() == backup_codes_on(backup_codes_page)


def test_download_saves_a_text_file_with_site_account_date_and_codes(backup_codes_page: Page, user: User) -> None:
    with backup_codes_page.expect_download() as download:
        press(backup_codes_page, "Download")
    assert download.value.suggested_filename == "twofactor-backup-codes.txt"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "Twofactor" in text
    assert user.email in text
    assert str(Authenticator.objects.get().created_at.year) in text
    assert [line for line in text.splitlines() if re.fullmatch(r"[0-9A-Z-]{19}", line)] == backup_codes_on(
        backup_codes_page
    )


def test_the_print_has_the_codes_their_title_and_nothing_else(backup_codes_page: Page, user: User) -> None:
    codes = backup_codes_on(backup_codes_page)
    backup_codes_page.evaluate("window.print = () => { window.printed = true }")
    press(backup_codes_page, "Print")
    assert backup_codes_page.evaluate("window.printed") is True
    backup_codes_page.emulate_media(media="print")
    on_paper = backup_codes_page.locator("body").inner_text()
    assert [line.strip() for line in on_paper.splitlines() if line.strip() in codes] == codes
    assert f"Twofactor backup codes for {user.email}" in on_paper
    main = backup_codes_page.get_by_role("main")
    expect(main.get_by_role("button").or_(main.get_by_role("heading")).or_(main.get_by_role("checkbox"))).to_have_count(
        0
    )
    expect(backup_codes_page.get_by_role("banner").or_(backup_codes_page.get_by_role("contentinfo"))).to_have_count(0)


def test_the_print_is_white_in_dark_mode(backup_codes_page: Page) -> None:
    backup_codes_page.emulate_media(media="print", color_scheme="dark")
    card = backup_codes_page.get_by_role("region", name="Save your backup codes", include_hidden=True)
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(card).to_have_css("color", "rgb(0, 0, 0)")
    expect(backup_codes_page.locator("html")).to_have_css("--bad", "#ab2417")


def test_a_typed_code_is_compared_without_sending_it(backup_codes_page: Page) -> None:
    code = backup_codes_on(backup_codes_page)[6]
    sent = record_requests(backup_codes_page)
    backup_codes_page.get_by_text("Check what you wrote down").click()
    typed_back = backup_codes_page.get_by_role("textbox", name="Type one of the codes from your copy")
    typed_back.fill(code.lower().replace("-", " "))
    expect_text(backup_codes_page, "That is one of your codes.")
    typed_back.fill("0000-0000-0000-0000")
    expect_text(backup_codes_page, "That is none of these codes.")
    assert sent == []


def test_done_requires_the_checkbox(backup_codes_page: Page) -> None:
    sent = record_requests(backup_codes_page)
    press(backup_codes_page, "Done")
    expect(backup_codes_page.get_by_role("checkbox", name="I have saved these codes")).to_be_focused()
    expect_heading(backup_codes_page, "Save your backup codes")
    assert sent == []
    backup_codes_page.get_by_role("checkbox").check()
    press(backup_codes_page, "Done")
    expect_heading(backup_codes_page, "Two-factor authentication")


def expect_not_stored(page: Page, codes: Iterable[str]) -> None:
    """Expect no code in the page, the URL, the history state or web storage."""
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, location.href])")
    everywhere = page.content() + kept
    assert "html" in everywhere
    assert not [code for code in codes if code in everywhere or code.replace("-", "") in everywhere]


def press_back(page: Page) -> None:
    """Go back, and wait for the page to load: htmx keeps no copies of pages."""
    with page.expect_event("load"):
        page.go_back()


def reload(page: Page) -> None:
    page.reload()


def leave_and_press_back(page: Page) -> None:
    page.goto("/")
    page.go_back()


@pytest.mark.parametrize("then", [press_back, reload, leave_and_press_back])
def test_the_codes_are_shown_only_once(backup_codes_page: Page, then: Callable[[Page], None]) -> None:
    codes = backup_codes_on(backup_codes_page)
    then(backup_codes_page)
    expect_heading(backup_codes_page, "Two-factor authentication")
    expect_text(backup_codes_page, "Your backup codes are shown only once.")
    expect_not_stored(backup_codes_page, codes)


def answer_dialogs(page: Page, *, leave: bool) -> list[str]:
    """Accept or dismiss dialogs from now on. Return the list that collects their types."""
    asked: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", on_dialog)
    return asked


def test_leaving_before_the_codes_are_saved_asks_for_confirmation(backup_codes_page: Page) -> None:
    asked = answer_dialogs(backup_codes_page, leave=False)
    backup_codes_page.get_by_role("banner").get_by_role("link").click()
    expect_heading(backup_codes_page, "Save your backup codes")
    backup_codes_page.evaluate("window.setTimeout(() => location.reload())")
    expect_heading(backup_codes_page, "Save your backup codes")
    backup_codes_page.evaluate("htmx.ajax('GET', '/accounts/email/', {source: '#panel', target: '#panel'})")
    expect_heading(backup_codes_page, "Save your backup codes")
    assert sorted(asked) == ["beforeunload", "beforeunload", "confirm"]


def test_leaving_after_the_codes_are_saved_asks_nothing(backup_codes_page: Page) -> None:
    asked = answer_dialogs(backup_codes_page, leave=True)
    backup_codes_page.get_by_role("checkbox", name="I have saved these codes").check()
    backup_codes_page.get_by_role("banner").get_by_role("link").click()
    expect_heading(backup_codes_page, "Your account")
    assert asked == []


def test_the_codes_are_not_stored_in_the_browser_after_done(backup_codes_page: Page) -> None:
    codes = save_backup_codes(backup_codes_page)
    expect_not_stored(backup_codes_page, codes)
    press_back(backup_codes_page)
    expect_heading(backup_codes_page, "Set up a new phone")
    expect_not_stored(backup_codes_page, codes)
