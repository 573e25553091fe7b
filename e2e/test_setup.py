"""Turning 2FA on: the QR code read from a screenshot, Back and other tabs, copying and printing the backup codes."""

import re
from pathlib import Path

import pytest
from django.conf import settings as site
from playwright.sync_api import expect

from e2e import steps
from e2e.phone import Phone
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, SETUP

CLIPBOARD = ["clipboard-read", "clipboard-write"]
WITH_CLIPBOARD = pytest.mark.browser_context_args(permissions=CLIPBOARD)
ON_A_PHONE = pytest.mark.browser_context_args(
    permissions=CLIPBOARD, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
)
ENTER_CODE = "Enter the code from your app"
# The box in front of a printed code.
BOX = """item => {
  const box = getComputedStyle(item, "::before");
  return [box.width, box.height, box.borderTopStyle];
}"""


@pytest.fixture
def backup_codes_page(page, scanned_phone):
    """Open step 3, which shows the ten backup codes."""
    steps.press(page, "Continue")
    steps.enter_code(page, scanned_phone.code(), shows="Save your backup codes")
    return page


def expect_not_stored(page, codes):
    """Expect no code in the page, the URL, the history state or web storage."""
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, location.href])")
    everywhere = page.content() + kept
    assert "html" in everywhere
    assert not [code for code in codes if code in everywhere or code.replace("-", "") in everywhere]


def press_back(page):
    """Go back, and wait for the page to load: htmx keeps no copies of pages."""
    with page.expect_event("load"):
        page.go_back()


@WITH_CLIPBOARD
def test_the_key_can_be_scanned_and_copied(page, user, scanned_phone):
    for scheme, forced in (("light", "none"), ("dark", "none"), ("dark", "active")):
        page.emulate_media(color_scheme=scheme, forced_colors=forced)
        phone = Phone.scan(steps.qr_code(page))
        assert phone.secret == scanned_phone.secret
    steps.press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == phone.secret
    steps.press(page, "Continue")
    steps.enter_code(page, phone.code(), shows="Save your backup codes")
    assert AuthenticatorApp.objects.get().secret == phone.secret


@ON_A_PHONE
def test_a_phone_opens_the_app_and_folds_the_qr_code_away(page, user, scanned_phone):
    link = page.get_by_role("link", name="Open in your authenticator app")
    assert Phone.open(link.get_attribute("href")).secret == scanned_phone.secret
    expect(steps.qr_code(page)).to_have_count(0)
    page.get_by_role("button", name="Copy").tap()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == scanned_phone.secret
    page.get_by_text("Show the QR code for another device").tap()
    assert Phone.scan(steps.qr_code(page)).secret == scanned_phone.secret


def test_back_and_another_language_keep_the_key_and_the_step(signed_in):
    page = signed_in
    page.goto(SETTINGS)
    steps.press(page, "Turn on")
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Continue")
    key = steps.key_of(page)
    steps.press(page, "Continue", shows=ENTER_CODE)
    page.go_back()
    assert steps.key_of(page) == key
    page.go_forward()
    steps.expect_heading(page, ENTER_CODE)
    steps.press(page, "Back")
    assert steps.key_of(page) == key
    steps.press(page, "Continue")
    expect(steps.code_field(page)).to_be_focused()
    page.get_by_role("combobox", name="Language").select_option("Deutsch")
    page.get_by_role("button", name="Change").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page).to_have_url(re.compile("/accounts/2fa/verify-setup/$"))


@pytest.mark.parametrize("leave", ["Cancel", "Sign out"])
def test_back_shows_no_key_after_the_setup_is_left(page, scanned_phone, leave):
    steps.press(page, "Continue", shows=ENTER_CODE)
    page.get_by_role("button", name=leave).click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text(ENTER_CODE)
    press_back(page)
    expect(steps.qr_code(page)).to_have_count(0)
    assert scanned_phone.secret not in page.content().replace(" ", "")


@WITH_CLIPBOARD
def test_the_backup_codes_can_be_copied_downloaded_printed_and_compared(backup_codes_page, user):
    page = backup_codes_page
    codes = steps.backup_codes_on(page)
    sent = steps.record_requests(page)
    steps.press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()").split() == codes
    with page.expect_download() as download:
        steps.press(page, "Download")
    assert download.value.suggested_filename == "twofactor-backup-codes.txt"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    sign_in = f"Choose “Use a backup code” when you sign in at {site.SITE_URL}{LOGIN}."
    assert text.startswith(f"Twofactor backup codes for {user.email}, made ")
    assert sign_in in text
    assert re.findall(r"^\[ \] ([0-9A-Z-]{19})$", text, re.MULTILINE) == codes
    page.get_by_text("Check your copy").click()
    typed_back = page.get_by_role("textbox", name="Type one of the codes from your copy")
    typed_back.fill(codes[6].lower().replace("-", " "))
    steps.expect_text(page, "That's one of your codes.")
    typed_back.fill("0000-0000-0000-0000")
    steps.expect_text(page, "That code isn't in the list.")
    page.evaluate("window.print = () => { window.printed = true; }")
    steps.press(page, "Print")
    assert page.evaluate("window.printed") is True
    card = page.get_by_role("region", name="Save your backup codes", include_hidden=True)
    page.emulate_media(media="print", color_scheme="dark")
    on_paper = page.locator("body").inner_text()
    assert [line.strip() for line in on_paper.splitlines() if line.strip() in codes] == codes
    assert f"Twofactor backup codes for {user.email}, made " in on_paper
    assert sign_in in on_paper
    assert page.locator("#codes li").first.evaluate(BOX) == ["16px", "16px", "solid"]
    for role in ("button", "heading", "checkbox", "banner", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(0)
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(card).to_have_css("color", "rgb(0, 0, 0)")
    assert sent == []


@pytest.mark.parametrize("width, text", [(320, "100%"), (390, "200%")])
def test_no_code_and_no_word_is_broken_on_a_small_screen(backup_codes_page, width, text):
    page = backup_codes_page
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
    assert page.locator("#panel").evaluate(steps.BROKEN_WORDS) == []
    assert page.locator("#codes").evaluate("list => list.scrollWidth <= list.clientWidth")
    assert page.evaluate(steps.TOO_WIDE) == []


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_what_needs_the_script_takes_no_space_without_it(page, user):
    steps.use_session(page, user, SETUP, {"password": PASSWORD})
    page.goto(SETUP)
    phone = Phone(steps.key_of(page))
    steps.press(page, "Continue")
    steps.enter_code(page, phone.code(), shows="Save your backup codes")
    for hidden in page.locator("#panel :is([hidden], .tf-scripted)").all():
        assert hidden.bounding_box() is None
    assert page.locator("#codes").count() == 1


def leave_and_press_back(page):
    page.goto("/")
    page.go_back()


def test_the_backup_codes_are_shown_once_and_not_stored_in_the_browser(signed_in_with_code, phone):
    page = signed_in_with_code
    for then in (press_back, lambda page: page.reload(), leave_and_press_back, steps.save_backup_codes):
        page.goto(SETTINGS)
        steps.press(page, "New backup codes")
        steps.submit_proof(page, "Make new codes", code=phone.code())
        codes = steps.backup_codes_on(page)
        then(page)
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Save your backup codes")
        expect_not_stored(page, codes)
    press_back(page)
    expect_not_stored(page, codes)


def test_leaving_before_the_codes_are_saved_asks_for_confirmation(backup_codes_page):
    page = backup_codes_page
    asked = []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    sent = steps.record_requests(page)
    box = page.get_by_role("checkbox", name="I've saved these codes")
    steps.press(page, "Done")
    expect(box).to_be_focused()
    assert sent == []
    swap = "htmx.ajax('GET', '/accounts/email/', {source: '#panel', target: '#panel'})"
    for leave in ("document.querySelector('header a').click()", "location.reload()", swap):
        with page.expect_event("dialog"):
            page.evaluate(f"window.setTimeout(() => {leave})")
        steps.expect_heading(page, "Save your backup codes")
    assert asked == ["beforeunload", "beforeunload", "confirm"]
    box.check()
    page.get_by_role("banner").get_by_role("link").click()
    steps.expect_heading(page, "Your account")
    assert len(asked) == 3


@pytest.mark.browser_context_args(forced_colors="active")
def test_steps_and_errors_are_visible_with_forced_colors_and_nothing_moves(page, scanned_phone):
    step = page.get_by_role("list", name="Progress").get_by_role("listitem")
    expect(step.first).to_have_css("border-top-style", "solid")
    expect(step.last).to_have_css("border-top-style", "dotted")
    steps.press(page, "Continue")
    steps.code_field(page).fill("12")
    steps.press(page, "Turn on")
    expect(steps.code_field(page)).to_have_attribute("aria-invalid", "true")
    expect(steps.code_field(page)).to_have_css("border-left-width", "8px")
    page.route("**/verify-setup/", lambda route: None)
    steps.code_field(page).fill("34")
    steps.press(page, "Turn on")
    expect(steps.button(page, "Turn on")).to_be_disabled()
    assert page.evaluate("document.getAnimations().length") == 0
