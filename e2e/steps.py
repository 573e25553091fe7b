"""Actions and checks that the browser tests share. Elements are found by role and visible text.

Tests pass texts in English; they are translated into the active language, which a test sets with
`translation.override`. The browser's own language is its `locale` option.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db.models import F
from django.test import Client
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from playwright.sync_api import Locator, Page, Request, Route, expect

from accounts.models import User
from conftest import PASSWORD, SECRET
from e2e.phone import Phone
from twofactor.models import Authenticator, BackupCode

SETTINGS = "/accounts/2fa/"
SETUP = "/accounts/2fa/setup/"
VERIFY_LOGIN = "/accounts/2fa/verify-login/"
NEW_CODES = "/accounts/2fa/regenerate-backup-codes/"
DISABLE = "/accounts/2fa/disable/"
CONFIRM = "/accounts/2fa/confirm/"
BACKUP_CODE = re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$")
NEW_PASSWORD = "gravel-9-Lantern-osier"


# --- Elements of a page ---------------------------------------------------------------------------


def expect_heading(page: Page, name: str) -> None:
    """Expect a page or panel with this level 1 heading."""
    expect(page.get_by_role("heading", level=1)).to_have_text(_(name))


def code_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name=_("Code"), exact=True)


def backup_code_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name=_("Backup code"), exact=True)


def email_field(page: Page) -> Locator:
    return page.get_by_role("main").get_by_label(_("E-mail"), exact=True)


def password_field(page: Page) -> Locator:
    return page.get_by_label(_("Password"), exact=True)


def press(page: Page, name: str) -> None:
    """Click the button or link of this name in the main element."""
    main = page.get_by_role("main")
    named: Any = {"name": _(name), "exact": True}
    main.get_by_role("button", **named).or_(main.get_by_role("link", **named)).click()


def expect_field_error(field: Locator, words: str) -> None:
    """Expect an invalid, focused field with this text in its accessible description."""
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(_(words))))
    expect(field).to_be_focused()


def expect_text(page: Page, words: str) -> None:
    """Expect a visible element with this text in the main element."""
    expect(page.get_by_role("main").get_by_text(_(words))).to_be_visible()


def expect_backup_codes_left(page: Page, left: int) -> None:
    """Expect the message that a backup code was used, with the number of codes left."""
    words = ngettext("You used a backup code. %d is left.", "You used a backup code. %d are left.", left)
    expect_text(page, words % left)


def wait_for_transition(page: Page) -> None:
    """Wait until the view transition has ended. Resizing the window before that logs an error."""
    expect(page.locator("html:active-view-transition")).to_have_count(0)


def qr_code(page: Page) -> Locator:
    return page.get_by_role("img", name=_("QR code for your authenticator app; the key beside it says the same"))


def key_of(page: Page) -> str:
    """Return the setup key that the page shows next to the QR code, without spaces."""
    written = page.get_by_role("code").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", written), f"{written!r} is not in groups of four"
    return written.replace(" ", "")


def backup_codes_on(page: Page) -> list[str]:
    """Return the ten codes that the page shows."""
    expect_heading(page, "Save your backup codes")
    codes = page.get_by_role("code").filter(has_text=BACKUP_CODE).all_inner_texts()
    assert len(set(codes)) == 10
    return codes


# --- Sign-in and sign-out -------------------------------------------------------------------------


def submit_password(page: Page, user: User, *, password: str = PASSWORD) -> None:
    """Fill and submit the sign-in form of the current page."""
    email_field(page).fill(user.email)
    password_field(page).fill(password)
    press(page, "Sign in")


def sign_in(page: Page, user: User, *, password: str = PASSWORD, at: str = "/accounts/login/") -> None:
    """Submit address and password. With 2FA on, the code form follows."""
    page.goto(at)
    submit_password(page, user, password=password)


def sign_out(page: Page) -> None:
    page.get_by_role("banner").get_by_role("button", name=_("Sign out")).click()
    expect(page.get_by_role("link", name=_("Sign in")).first).to_be_visible()


def has_javascript(page: Page) -> bool:
    return bool(page.evaluate("'htmx' in window"))


def enter_code(page: Page, code: str) -> None:
    """Fill in a code, and submit the form unless the script does it after the sixth digit."""
    expect(code_field(page)).to_be_visible()
    form = page.get_by_role("main").locator("form").filter(has=code_field(page))
    submits_itself = has_javascript(page) and form.get_attribute("data-autosubmit") is not None
    code_field(page).fill(code)
    if not submits_itself:
        form.get_by_role("button").click()


def enter_backup_code(page: Page, code: str) -> None:
    backup_code_field(page).fill(code)
    press(page, "Continue")


def sign_in_with_code(page: Page, user: User, phone: Phone, *, password: str = PASSWORD) -> None:
    sign_in(page, user, password=password)
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def submit_proof(page: Page, button: str, *, code: str = "", backup_code: str = "") -> None:
    """Fill in the password and a code or backup code, and submit the form by this button."""
    if backup_code:
        if not backup_code_field(page).is_visible():
            press(page, "Use a backup code")
        backup_code_field(page).fill(backup_code)
    if code:
        code_field(page).fill(code)
    password_field(page).fill(PASSWORD)
    press(page, button)


def use_cookies_of(client: Client, page: Page) -> None:
    """Continue the session of a test client in the browser."""
    cookies: list[Any] = [
        {"name": name, "value": cookie.value, "url": settings.SITE_URL} for name, cookie in client.cookies.items()
    ]
    page.context.add_cookies(cookies)


def client_after_password(user: User) -> Client:
    """Return a test client that has submitted the password. With 2FA on, its sign-in is pending."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


# --- Setup ----------------------------------------------------------------------------------------


def start_setup(page: Page) -> Phone:
    """Start the setup from the settings page, and scan the QR code. Ends at step 1."""
    page.goto(SETTINGS)
    press(page, "Turn on")
    password_field(page).fill(PASSWORD)
    press(page, "Continue")
    expect(page.get_by_text(_("Step %(step)s of 3") % {"step": 1})).to_be_visible()
    return Phone.scan(qr_code(page))


def open_setup(page: Page, user: User) -> Phone:
    """Start the setup with a test client, and open step 1 in the browser. Return the phone with the setup key."""
    client = client_after_password(user)
    client.post(SETUP, {"password": PASSWORD})
    use_cookies_of(client, page)
    page.goto(SETUP)
    return Phone(key_of(page))


def turn_on(page: Page) -> Phone:
    """Go through the three steps of the setup. Return the phone with the backup codes."""
    phone = start_setup(page)
    press(page, "Continue")
    enter_code(page, phone.code())
    phone.backup_codes = save_backup_codes(page)
    return phone


def save_backup_codes(page: Page) -> list[str]:
    """Read the backup codes, confirm that they are saved, and go to the settings page."""
    codes = backup_codes_on(page)
    page.get_by_role("checkbox", name=_("I have saved these codes")).check()
    press(page, "Done")
    expect_heading(page, "Two-factor authentication")
    return codes


def wrong_code(phone: Phone) -> str:
    """Return six digits that are not a code of the phone within an hour of now."""
    near = {phone.code(steps_ahead=steps) for steps in range(-120, 121)}
    return next(code for code in map("{:06}".format, range(10**6)) if code not in near)


# --- Changes of 2FA -------------------------------------------------------------------------------


def make_new_backup_codes(page: Page, **proof: str) -> list[str]:
    page.goto(SETTINGS)
    press(page, "New backup codes")
    expect_heading(page, "New backup codes")
    submit_proof(page, "Make new codes", **proof)
    return save_backup_codes(page)


def scan_new_phone(page: Page, **proof: str) -> Phone:
    """Start the setup of a new phone, and scan its QR code. Ends at step 1."""
    page.goto(SETTINGS)
    press(page, "New phone")
    expect_heading(page, "Set up a new phone")
    submit_proof(page, "Continue", **proof)
    expect(qr_code(page)).to_be_visible()
    return Phone.scan(qr_code(page))


def turn_off(page: Page, **proof: str) -> None:
    page.goto(SETTINGS)
    press(page, "Turn off")
    expect_heading(page, "Turn off two-factor authentication")
    submit_proof(page, "Turn off", **proof)
    expect_text(page, "Two-factor authentication is off.")


def main_journey(page: Page, user: User) -> None:
    """Turn 2FA on, sign in with a code and with a backup code, make new codes, move to a new phone, turn off."""
    for _name in main_journey_pages(page, user):
        pass


def main_journey_pages(page: Page, user: User) -> Iterator[str]:
    """Go through the main journey, and yield the name of each page and panel while it is shown."""
    sign_in(page, user)
    expect_heading(page, "Your account")
    yield "account, 2FA off"
    phone = start_setup(page)
    yield "step 1"
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    yield "step 2"
    enter_code(page, phone.code())
    phone.backup_codes = backup_codes_on(page)
    yield "step 3"
    save_backup_codes(page)
    yield "settings"
    sign_out(page)
    yield "landing"
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    yield "code"
    enter_code(page, phone.code(steps_ahead=1))  # the code of this time step is used: it turned 2FA on
    expect_heading(page, "Your account")
    sign_out(page)
    sign_in(page, user)
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    yield "backup code"
    enter_backup_code(page, phone.backup_codes[0])
    expect_backup_codes_left(page, 9)
    yield "account, 2FA on"
    codes = make_new_backup_codes(page, backup_code=phone.backup_codes[1])
    new_phone = scan_new_phone(page, backup_code=codes[0])
    yield "new phone"
    press(page, "Continue")
    enter_code(page, new_phone.code())
    save_backup_codes(page)
    turn_off(page, code=new_phone.code(steps_ahead=1))
    yield "turned off"


# --- Time, sessions and requests ------------------------------------------------------------------


def let_a_minute_pass() -> None:
    """Move the last used time step one minute back, so that the current code can be used again."""
    Authenticator.objects.update(last_time_step=F("last_time_step") - 2)


def let_an_hour_pass(page: Page) -> None:
    """Move the time of the session's last second factor one hour back, so that step-up is needed."""
    session = session_of(page)
    session["twofactor"] = {**session["twofactor"], "at": session["twofactor"]["at"] - 3600}
    session.save()


def return_to_tab(page: Page) -> None:
    """Dispatch the event of a tab that becomes visible. In a headless browser all tabs are always visible."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")


def session_of(page: Page) -> Any:
    """Return the server-side session of this browser."""
    cookies: list[Any] = page.context.cookies()
    key = next(cookie["value"] for cookie in cookies if cookie["name"] == settings.SESSION_COOKIE_NAME)
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def hold_requests(page: Page, path: str = VERIFY_LOGIN) -> list[Route]:
    """Intercept the requests to this path. Return a list that collects them; the test continues them."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**{path}*", hold)
    return held


def record_requests(page: Page) -> list[str]:
    """Record requests from now on as `POST /path`, without static files. Return the list that collects them."""
    made: list[str] = []

    def record(request: Request) -> None:
        if request.resource_type in ("document", "xhr", "fetch"):
            made.append(f"{request.method} {urlsplit(request.url).path}")

    page.on("request", record)
    return made


# --- Every page -----------------------------------------------------------------------------------


def signed_out_pages(page: Page, user: User) -> Iterator[str]:
    """Go through the pages of a signed-out user. Yield the name of each page while it is shown."""
    for path, title in (
        ("/", "A stolen password should not be enough"),
        ("/accounts/signup/", "Sign up"),
        ("/accounts/password/reset/", "Reset your password"),
        ("/accounts/password/reset/done/", "Check your inbox"),
        ("/accounts/password/reset/key/none-at-all/", "This link no longer works"),
        ("/accounts/password/reset/key/done/", "Your password is changed"),
        ("/accounts/confirm-email/", "Check your inbox"),
        ("/accounts/confirm-email/none/", "This link no longer works"),
        ("/accounts/inactive/", "This account is closed"),
        ("/nowhere/", "Page not found"),
    ):
        page.goto(path)
        expect_heading(page, title)
        yield path
    page.goto(f"/accounts/password/reset/key/{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}/")
    expect_heading(page, "Choose a new password")
    yield "a new password after a reset"
    further = EmailAddress.objects.create(user=user, email="ada@elsewhere.example", verified=False)
    newcomer = User.objects.create_user("newcomer@elsewhere.example", full_name="New Person")
    new = EmailAddress.objects.create(user=newcomer, email=newcomer.email, verified=False)
    for address, title in ((further, "Sign in to confirm this address"), (new, "Finish signing up")):
        page.goto(f"/accounts/confirm-email/{EmailConfirmationHMAC(address).key}/")
        expect_heading(page, title)
        yield f"confirm an address: {title}"
    page.get_by_role("link", name=_("This wasn't me")).click()
    expect_heading(page, "This wasn't me")
    yield "reject an address"
    page.goto("/accounts/signup/")
    for label, text in (("Full name", "G"), ("E-mail", "g@example.com"), ("Password", "short")):
        page.get_by_label(_(label), exact=True).fill(text)
    press(page, "Sign up")
    expect_field_error(password_field(page), "12")
    yield "sign-up, refused"
    sign_in(page, user, password="not-the-password")
    expect_field_error(password_field(page), "That address and that password do not belong together.")
    yield "sign-in, refused"


def account_pages(page: Page, user: User) -> Iterator[str]:
    """Go through the account's pages and the setup. Ends with 2FA on."""
    EmailAddress.objects.create(user=user, email="ada@elsewhere.example", verified=False)
    EmailAddress.objects.create(user=user, email="ada@third.example", verified=True)
    sign_in(page, user)
    expect_heading(page, "Your account")
    yield "account, 2FA off"
    for path, title in (
        ("/accounts/email/", "E-mail addresses"),
        ("/accounts/password/change/", "Change your password"),
        ("/accounts/sessions/", "Sessions"),
        ("/accounts/2fa/reauthenticate/", "Confirm that it is you"),
        ("/accounts/logout/", "Sign out?"),
        (SETTINGS, "Two-factor authentication"),
    ):
        page.goto(path)
        expect_heading(page, title)
        yield path
    press(page, "Turn on")
    expect(password_field(page)).to_be_visible()
    yield "setup, password"
    password_field(page).fill("not-the-password")
    press(page, "Continue")
    expect_field_error(password_field(page), "That is not your password.")
    yield "setup, wrong password"
    password_field(page).fill(PASSWORD)
    press(page, "Continue")
    expect(qr_code(page)).to_be_visible()
    yield "setup, scan"
    phone = Phone(key_of(page))
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    yield "setup, verify"
    enter_code(page, wrong_code(phone))
    expect_field_error(
        code_field(page), "That code is not right. Check that you scanned this QR code, and try the next code."
    )
    yield "setup, wrong code"
    enter_code(page, phone.code())
    backup_codes_on(page)
    page.get_by_text(_("Check what you wrote down")).click()
    yield "setup, backup codes"
    save_backup_codes(page)
    yield "settings, 2FA on"


def second_factor_pages(page: Page, user: User) -> Iterator[str]:
    """Go through sign-in with the trust checkbox, step-up, and all changes of 2FA."""
    phone = Phone(SECRET)
    phone.backup_codes = Authenticator.objects.activate(user, secret=SECRET)
    use_up_backup_codes(7)
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    yield "sign-in, code"
    enter_code(page, wrong_code(phone))
    expect_field_error(code_field(page), "That code is not right. Wait for the next one in your app and try again.")
    yield "sign-in, wrong code"
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    yield "sign-in, backup code"
    enter_backup_code(page, "0000-0000-0000-0000")
    expect_field_error(backup_code_field(page), "That is not one of your unused backup codes.")
    yield "sign-in, wrong backup code"
    page.get_by_role("checkbox").check()
    enter_backup_code(page, phone.backup_codes[9])
    expect_backup_codes_left(page, 2)
    yield "account, 2FA on"
    page.goto(SETTINGS)
    expect(page.get_by_role("heading", name=_("Trusted browsers"))).to_be_visible()
    expect(page.get_by_role("main").locator(".tf-note.tf-warning")).to_contain_text("2")
    yield "settings, few codes, a trusted browser"
    let_an_hour_pass(page)
    for path, title in (
        (NEW_CODES, "New backup codes"),
        (SETUP, "Set up a new phone"),
        ("/accounts/2fa/reauthenticate/", "Confirm that it is you"),
        (CONFIRM, "Confirm that it is you"),
        (DISABLE, "Turn off two-factor authentication"),
    ):
        page.goto(path)
        expect_heading(page, title)
        yield f"{path} with a code"
        press(page, "Use a backup code")
        expect(backup_code_field(page)).to_be_visible()
        yield f"{path} with a backup code"
    submit_proof(page, "Turn off", backup_code="not a code")
    expect_field_error(
        backup_code_field(page), "A backup code has sixteen letters and digits, like 7KQ2-9MXD-4RTB-W8HN."
    )
    yield "turn off, refused"


# Each starts signed out. The test must set TWOFACTOR_TRUST_DAYS, and expect status 404.
EVERY_PAGE = (signed_out_pages, account_pages, second_factor_pages)


def use_up_backup_codes(count: int) -> None:
    """Mark the first unused backup codes as used."""
    unused = BackupCode.objects.filter(used_at=None).order_by("pk").values_list("pk", flat=True)[:count]
    used = BackupCode.objects.filter(pk__in=list(unused)).update(used_at=timezone.now())
    Authenticator.objects.update(codes_left=F("codes_left") - used)
