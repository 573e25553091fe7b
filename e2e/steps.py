"""Actions and checks that the browser tests share. Elements are found by role and visible text.

Tests pass texts in English; they are translated into the language of the browser, its `locale` option.
`shows` is the level 1 heading of the page or panel that must follow.
"""

import re
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.test import Client
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from e2e.phone import Phone
from twofactor.models import BackupCode
from twofactor.tests.constants import LOGIN, PASSWORD

BACKUP_CODE = re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$")
WRONG_CODE = "That code isn't right."
WRONG_BACKUP_CODE = "That backup code is wrong or was already used."

AXE = "options => axe.run(options).then(results => results.violations)"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Elements that make the page scroll sideways.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const sticksOut = (box) => box.right > width + 1 || box.left < -1;
  const wide = [...document.querySelectorAll("body *")].filter((e) => sticksOut(e.getBoundingClientRect()));
  return [`scrolls to ${document.documentElement.scrollWidth}`, ...wide.map((e) => e.outerHTML.slice(0, 80))];
}"""
# Words and codes in two lines. Addresses may break, and browsers hyphenate longer words, such as some in German.
BROKEN_WORDS = """(main) => {
  const found = [], texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT), range = new Range();
  const words = /(?<![\\p{L}\\p{N}])[\\p{L}\\p{N}]{2,16}(?![\\p{L}\\p{N}])/gu, codes = /[^ ]+/g;
  while (texts.nextNode()) {
    const text = texts.currentNode, parent = text.parentElement;
    if (parent.closest("[hidden], bdi, input, textarea") || /@/.test(text.data)) continue;
    for (const { 0: word, index } of text.data.matchAll(parent.matches("code") ? codes : words)) {
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) found.push(`broken: ${word}`);
    }
  }
  return found;
}"""
# Codes, keys and addresses that are not left to right, as they must be in every language.
NOT_LTR = """() => [...document.querySelectorAll("code, bdi, [name=code], [name=backup_code], [type=email], #recall")]
  .filter((element) => getComputedStyle(element).direction !== "ltr")
  .map((element) => element.outerHTML.slice(0, 80))"""


# --- Elements of a page ---------------------------------------------------------------------------


def expect_heading(page, name):
    expect(page.get_by_role("heading", level=1)).to_have_text(_(name))


def code_field(page):
    return page.get_by_role("textbox", name=_("Code"), exact=True)


def backup_code_field(page):
    return page.get_by_role("textbox", name=_("Backup code"), exact=True)


def email_field(page):
    return page.get_by_role("main").get_by_label(_("Email"), exact=True)


def password_field(page):
    return page.get_by_label(_("Password"), exact=True)


def qr_code(page):
    return page.get_by_role("img", name=_("QR code for your authenticator app. You can also enter the key."))


def unfold_qr_code(page):
    """Show the QR code, which is folded away on a touch device."""
    key_of(page)
    summary = page.get_by_text(_("Show the QR code for another device"))
    if summary.is_visible():
        summary.click()
    expect(qr_code(page)).to_be_visible()


def button(page, name):
    """Find the button or link of this name in the main element."""
    main = page.get_by_role("main")
    named = {"name": _(name), "exact": True}
    return main.get_by_role("button", **named).or_(main.get_by_role("link", **named))


def press(page, name, *, shows=""):
    button(page, name).click()
    if shows:
        expect_heading(page, shows)


def expect_field_error(field, words):
    """Expect an invalid, focused field with this text in its accessible description."""
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(_(words))))
    expect(field).to_be_focused()


def expect_text(page, words):
    """Expect a visible element with this text in the main element."""
    expect(page.get_by_role("main").get_by_text(_(words))).to_be_visible()


def axe_violations(page, **run_only):
    """Run axe-core on the current page. Return a line for each element that violates a rule."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)  # not as a script element: the page's CSP would block it
    found = page.evaluate(AXE, {"runOnly": run_only, "resultTypes": ["violations"]})
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def wait_for_transition(page):
    """Wait until the view transition has ended. Resizing the window before that logs an error."""
    expect(page.locator("html:active-view-transition")).to_have_count(0)


def key_of(page):
    """Return the setup key that the page shows next to the QR code, without spaces."""
    expect(page.get_by_role("code")).to_be_visible()
    written = page.get_by_role("code").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", written), f"{written!r} is not in groups of four"
    return written.replace(" ", "")


def backup_codes_on(page):
    """Return the ten codes that the page shows."""
    expect_heading(page, "Save your backup codes")
    codes = page.get_by_role("code").filter(has_text=BACKUP_CODE).all_inner_texts()
    assert len(set(codes)) == 10
    return codes


# --- Sign-in and sign-out -------------------------------------------------------------------------


def submit_password(page, user, *, password=PASSWORD, shows=""):
    """Fill and submit the sign-in form of the current page."""
    email_field(page).fill(user.email)
    password_field(page).fill(password)
    press(page, "Sign in", shows=shows)


def sign_in(page, user, *, shows=""):
    page.goto(LOGIN)
    submit_password(page, user, shows=shows)


def sign_out(page):
    page.get_by_role("banner").get_by_role("button", name=_("Sign out")).click()
    expect_heading(page, "A stolen password shouldn't be enough")


def use_session(page, user, path="", fields=None):
    """Submit the password and one more form by a test client, and continue its session in the browser."""
    client = Client()
    with translation.override("en"):  # a request changes the active language
        client.post(LOGIN, {"login": user.email, "password": PASSWORD})
        if path:
            client.post(path, fields)
    cookies = [{"name": name, "value": cookie.value} for name, cookie in client.cookies.items()]
    page.context.add_cookies([cookie | {"url": settings.SITE_URL} for cookie in cookies])


def enter_code(page, code, *, shows=""):
    """Fill in a code, and submit the form unless the script does it after the sixth digit."""
    form = page.get_by_role("main").locator("form").filter(has=code_field(page))
    expect(code_field(page)).to_be_visible()
    submits_itself = page.evaluate("'htmx' in window") and form.get_attribute("data-autosubmit") is not None
    code_field(page).fill(code)
    if not submits_itself:
        form.get_by_role("button").first.click()
    if shows:
        expect_heading(page, shows)


def enter_backup_code(page, code, *, shows=""):
    backup_code_field(page).fill(code)
    press(page, "Continue", shows=shows)


def expect_wrong_code(page, code, words=WRONG_CODE):
    enter_code(page, code)
    expect_field_error(code_field(page), words)


def expect_wrong_backup_code(page):
    enter_backup_code(page, "0000-0000-0000-0000")
    expect_field_error(backup_code_field(page), WRONG_BACKUP_CODE)


# --- Changes of 2FA -------------------------------------------------------------------------------


def submit_proof(page, name, *, code="", backup_code=""):
    """Fill in the password and a code or backup code, and submit the form by the button of this name."""
    expect(password_field(page)).to_be_visible()
    if backup_code and not backup_code_field(page).is_visible():
        press(page, "Use a backup code")
    (backup_code_field(page) if backup_code else code_field(page)).fill(backup_code or code)
    password_field(page).fill(PASSWORD)
    press(page, name)


def save_backup_codes(page, *, shows=""):
    """Read the backup codes, confirm that they are saved, and go to the settings page.

    `shows` is the heading of the page of success, at the end of a setup.
    """
    codes = backup_codes_on(page)
    page.get_by_role("checkbox", name=_("I've saved these codes")).check()
    press(page, "Done", shows=shows)
    if shows:
        press(page, "Go to Security")
    expect_heading(page, "Security")
    return codes


def main_journey_pages(page, user):
    """Turn 2FA on, sign in with a code and with a backup code, make new codes, move to a new phone, turn 2FA off.

    Yield the name of each page and panel while it is shown.
    """
    sign_in(page, user, shows="Your account")
    press(page, "Turn on")
    password_field(page).fill(PASSWORD)
    press(page, "Continue")
    unfold_qr_code(page)
    yield "scan"
    phone = Phone.scan(qr_code(page))
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    yield "verify"
    enter_code(page, phone.code(), shows="Save your backup codes")
    yield "backup codes"
    phone.backup_codes = save_backup_codes(page, shows="You're protected")
    yield "settings"
    sign_out(page)
    sign_in(page, user)
    expect(code_field(page)).to_be_focused()
    yield "code"
    enter_code(page, phone.code(), shows="Your account")
    sign_out(page)
    sign_in(page, user)
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    yield "backup code"
    enter_backup_code(page, phone.backup_codes[0], shows="Your account")
    press(page, "Manage")
    press(page, "New backup codes")
    submit_proof(page, "Make new codes", backup_code=phone.backup_codes[1])
    phone.backup_codes = save_backup_codes(page)
    press(page, "New phone", shows="Set up a new phone")
    submit_proof(page, "Continue", backup_code=phone.backup_codes[0])
    unfold_qr_code(page)
    yield "scan again"
    new_phone = Phone.scan(qr_code(page))
    press(page, "Continue")
    enter_code(page, new_phone.code())
    save_backup_codes(page, shows="Your new phone is set up")
    press(page, "Turn off")
    submit_proof(page, "Turn off", code=new_phone.code())
    expect_text(page, "Two-factor authentication is off.")
    yield "turned off"


# --- Requests -------------------------------------------------------------------------------------


def use_up_backup_codes(*, left):
    """Mark all backup codes but the last ones as used."""
    kept = BackupCode.objects.order_by("-pk").values_list("pk", flat=True)[:left]
    BackupCode.objects.exclude(pk__in=list(kept)).update(used_at=timezone.now())


def return_to_tab(page):
    """Dispatch the event of a tab that becomes visible. In a headless browser all tabs are always visible."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")


def hold_requests(page, path):
    """Intercept the requests to this path. Return a list that collects them; the test continues them."""
    held = []

    def hold(route):
        held.append(route)

    page.route(f"**{path}*", hold)
    return held


def record_requests(page):
    """Record requests from now on as `POST /path`, without static files. Return the list that collects them."""
    made = []

    def record(request):
        if request.resource_type in ("document", "xhr", "fetch"):
            made.append(f"{request.method} {urlsplit(request.url).path}")

    page.on("request", record)
    return made
