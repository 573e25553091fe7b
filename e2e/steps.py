"""What a person does here, in roles and visible words, so that a test reads like what it shows.

The words are those of the sources. They are looked for in the language that is active in the test, which
`translation.override` changes; the browser is told its own by `locale`.
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

SETTINGS, SETUP, VERIFY_LOGIN = "/accounts/2fa/", "/accounts/2fa/setup/", "/accounts/2fa/verify-login/"
NEW_CODES, DISABLE = "/accounts/2fa/regenerate-backup-codes/", "/accounts/2fa/disable/"
CONFIRM = "/accounts/2fa/confirm/"
BACKUP_CODE = re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$")
NEW_PASSWORD = "gravel-9-Lantern-osier"


# --- What stands on a page ------------------------------------------------------------------------


def expect_heading(page: Page, name: str) -> None:
    """See that the page, or the panel that was swapped into it, is the one with this title."""
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
    """Press the button or link of this name in the page's main part."""
    main = page.get_by_role("main")
    named: Any = {"name": _(name), "exact": True}
    main.get_by_role("button", **named).or_(main.get_by_role("link", **named)).click()


def expect_said_beside(field: Locator, words: str) -> None:
    """See that a field is marked wrong, that its own description says why, and that it has the focus."""
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(_(words))))
    expect(field).to_be_focused()


def expect_said(page: Page, words: str) -> None:
    """See that the page's main part says this in a notice of its own."""
    expect(page.get_by_role("main").get_by_text(_(words))).to_be_visible()


def expect_backup_codes_left(page: Page, left: int) -> None:
    """See that the page says that a backup code signed in, and how many are left."""
    words = ngettext("You used a backup code. %d is left.", "You used a backup code. %d are left.", left)
    expect_said(page, words % left)


def expect_stillness(page: Page) -> None:
    """See that the swap is drawn to its end; a browser complains if its window changes size meanwhile."""
    expect(page.locator("html:active-view-transition")).to_have_count(0)


def qr_code(page: Page) -> Locator:
    return page.get_by_role("img", name=_("QR code for your authenticator app; the key beside it says the same"))


def key_of(page: Page) -> str:
    """Return the key as it is written beside the QR code, without the gaps between its groups."""
    written = page.get_by_role("code").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", written), f"{written!r} is not in groups of four"
    return written.replace(" ", "")


def backup_codes_on(page: Page) -> list[str]:
    """Return the ten codes that the page shows."""
    expect_heading(page, "Save your backup codes")
    codes = page.get_by_role("code").filter(has_text=BACKUP_CODE).all_inner_texts()
    assert len(set(codes)) == 10
    return codes


# --- Signing up, in and out -----------------------------------------------------------------------


def give_password(page: Page, user: User, *, password: str = PASSWORD) -> None:
    """Fill the sign-in form that is there, and send it."""
    email_field(page).fill(user.email)
    password_field(page).fill(password)
    press(page, "Sign in")


def sign_in(page: Page, user: User, *, password: str = PASSWORD, at: str = "/accounts/login/") -> None:
    """Give e-mail address and password; with 2FA on a code is owed then."""
    page.goto(at)
    give_password(page, user, password=password)


def sign_out(page: Page) -> None:
    page.get_by_role("banner").get_by_role("button", name=_("Sign out")).click()
    expect(page.get_by_role("link", name=_("Sign in")).first).to_be_visible()


def has_script(page: Page) -> bool:
    return bool(page.evaluate("'htmx' in window"))


def enter_code(page: Page, code: str) -> None:
    """Type the six digits. The form sends itself; without JavaScript, or with a box to tick, its button sends it."""
    expect(code_field(page)).to_be_visible()
    form = page.get_by_role("main").locator("form").filter(has=code_field(page))
    sends_itself = has_script(page) and form.get_attribute("data-autosubmit") is not None
    code_field(page).fill(code)
    if not sends_itself:
        form.get_by_role("button").click()


def enter_backup_code(page: Page, code: str) -> None:
    backup_code_field(page).fill(code)
    press(page, "Continue")


def sign_in_with_code(page: Page, user: User, phone: Phone, *, password: str = PASSWORD) -> None:
    sign_in(page, user, password=password)
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def prove(page: Page, button: str, *, code: str = "", backup_code: str = "") -> None:
    """Fill a form that asks for the proof, password and code or backup code, and send it by this button."""
    if backup_code:
        if not backup_code_field(page).is_visible():
            press(page, "Use a backup code")
        backup_code_field(page).fill(backup_code)
    if code:
        code_field(page).fill(code)
    password_field(page).fill(PASSWORD)
    press(page, button)


def go_on_from(client: Client, page: Page) -> None:
    """Give this browser the cookies of a client without one, to begin where that has got to."""
    cookies: list[Any] = [
        {"name": name, "value": cookie.value, "url": settings.SITE_URL} for name, cookie in client.cookies.items()
    ]
    page.context.add_cookies(cookies)


def client_of(user: User) -> Client:
    """Sign in as far as the password leads, without a browser: for tests whose point lies behind that."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


# --- Turning on -----------------------------------------------------------------------------------


def begin_setup(page: Page) -> Phone:
    """Open the settings, ask to turn 2FA on, give the password and scan; return the phone. Ends at step 1."""
    page.goto(SETTINGS)
    press(page, "Turn on")
    password_field(page).fill(PASSWORD)
    press(page, "Continue")
    expect(page.get_by_text(_("Step %(step)s of 3") % {"step": 1})).to_be_visible()
    return Phone.scan(qr_code(page))


def setup_under_way(page: Page, user: User) -> Phone:
    """Give the password without the browser, and open step 1 in it; return the phone, which was told the key."""
    client = client_of(user)
    client.post(SETUP, {"password": PASSWORD})
    go_on_from(client, page)
    page.goto(SETUP)
    return Phone(key_of(page))


def turn_on(page: Page) -> Phone:
    """Turn 2FA on by the three steps of the setup; return the phone, with the backup codes on it."""
    phone = begin_setup(page)
    press(page, "Continue")
    enter_code(page, phone.code())
    phone.backup_codes = save_backup_codes(page)
    return phone


def save_backup_codes(page: Page) -> list[str]:
    """Read the codes off the page, say that they are saved, and go on to the settings."""
    codes = backup_codes_on(page)
    page.get_by_role("checkbox", name=_("I have saved these codes")).check()
    press(page, "Done")
    expect_heading(page, "Two-factor authentication")
    return codes


def wrong_code(phone: Phone) -> str:
    """Return six digits that the phone shows at no time within an hour of now."""
    near = {phone.code(steps_ahead=steps) for steps in range(-120, 121)}
    return next(code for code in map("{:06}".format, range(10**6)) if code not in near)


# --- Looking after it -----------------------------------------------------------------------------


def make_new_codes(page: Page, **proof: str) -> list[str]:
    page.goto(SETTINGS)
    press(page, "New backup codes")
    expect_heading(page, "New backup codes")
    prove(page, "Make new codes", **proof)
    return save_backup_codes(page)


def scan_new_phone(page: Page, **proof: str) -> Phone:
    """Ask for a new phone and scan its QR code; ends at step 1."""
    page.goto(SETTINGS)
    press(page, "New phone")
    expect_heading(page, "Set up a new phone")
    prove(page, "Continue", **proof)
    expect(qr_code(page)).to_be_visible()
    return Phone.scan(qr_code(page))


def turn_off(page: Page, **proof: str) -> None:
    page.goto(SETTINGS)
    press(page, "Turn off")
    expect_heading(page, "Turn off two-factor authentication")
    prove(page, "Turn off", **proof)
    expect_said(page, "Two-factor authentication is off.")


def main_journey(page: Page, user: User) -> None:
    """Turn 2FA on, sign in with a code and with a backup code, make new codes, move to a new phone, turn off."""
    for _stop in stops_of_the_main_journey(page, user):
        pass


def stops_of_the_main_journey(page: Page, user: User) -> Iterator[str]:
    """Go on the main journey; yield the name of each page and panel while it stands there."""
    sign_in(page, user)
    expect_heading(page, "Your account")
    yield "account, 2FA off"
    phone = begin_setup(page)
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
    enter_code(page, phone.code(steps_ahead=1))  # this step's code turned 2FA on
    expect_heading(page, "Your account")
    sign_out(page)
    sign_in(page, user)
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    yield "backup code"
    enter_backup_code(page, phone.backup_codes[0])
    expect_backup_codes_left(page, 9)
    yield "account, 2FA on"
    codes = make_new_codes(page, backup_code=phone.backup_codes[1])
    new_phone = scan_new_phone(page, backup_code=codes[0])
    yield "new phone"
    press(page, "Continue")
    enter_code(page, new_phone.code())
    save_backup_codes(page)
    turn_off(page, code=new_phone.code(steps_ahead=1))
    yield "turned off"


# --- Time, and what the browser did ---------------------------------------------------------------


def let_a_minute_pass() -> None:
    """Make the codes used so far old ones, as a minute would: nothing here waits for a clock."""
    Authenticator.objects.update(last_time_step=F("last_time_step") - 2)


def let_an_hour_pass_since_the_code(page: Page) -> None:
    """Make the second factor of this browser's session one that was used an hour earlier."""
    session = session_of(page)
    session["twofactor"] = {**session["twofactor"], "at": session["twofactor"]["at"] - 3600}
    session.save()


def come_back_to(page: Page) -> None:
    """What a browser tells a tab that comes to the front; a headless one shows all of its tabs at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")


def session_of(page: Page) -> Any:
    """The session of this browser, as the server keeps it."""
    cookies: list[Any] = page.context.cookies()
    key = next(cookie["value"] for cookie in cookies if cookie["name"] == settings.SESSION_COOKIE_NAME)
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def hold(page: Page, path: str = VERIFY_LOGIN) -> list[Route]:
    """Keep what is sent to this address from the server, for as long as the test likes."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(f"**{path}*", keep)
    return held


def requests_of(page: Page) -> list[str]:
    """The requests that this page makes from now on, as `POST /path`; what it loads to look right is left out."""
    made: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type in ("document", "xhr", "fetch"):
            made.append(f"{request.method} {urlsplit(request.url).path}")

    page.on("request", note)
    return made


# --- Every page -----------------------------------------------------------------------------------


def pages_of_a_visitor(page: Page, user: User) -> Iterator[str]:
    """Go through what somebody meets who is not signed in; yield the name of each page while it stands there."""
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
    expect_said_beside(password_field(page), "12")
    yield "sign-up, refused"
    sign_in(page, user, password="not-the-password")
    expect_said_beside(password_field(page), "That address and that password do not belong together.")
    yield "sign-in, refused"


def pages_of_an_account(page: Page, user: User) -> Iterator[str]:
    """Go through the account's pages, and through the setup in place; ends with 2FA on."""
    EmailAddress.objects.create(user=user, email="ada@elsewhere.example", verified=False)
    EmailAddress.objects.create(user=user, email="ada@third.example", verified=True)
    sign_in(page, user)
    expect_heading(page, "Your account")
    yield "account, 2FA off"
    for path, title in (
        ("/accounts/email/", "E-mail addresses"),
        ("/accounts/password/change/", "Change your password"),
        ("/accounts/sessions/", "Sessions"),
        ("/accounts/reauthenticate/", "Confirm that it is you"),
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
    expect_said_beside(password_field(page), "That is not your password.")
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
    expect_said_beside(
        code_field(page), "That code is not right. Check that you scanned this QR code, and try the next code."
    )
    yield "setup, wrong code"
    enter_code(page, phone.code())
    backup_codes_on(page)
    page.get_by_text(_("Check what you wrote down")).click()
    yield "setup, backup codes"
    save_backup_codes(page)
    yield "settings, 2FA on"


def pages_of_the_second_factor(page: Page, user: User) -> Iterator[str]:
    """Go through signing in, with the box for a trusted browser, and all that changes 2FA."""
    phone = Phone(SECRET)
    phone.backup_codes = Authenticator.objects.activate(user, secret=SECRET)
    use_up_backup_codes(7)
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    yield "sign-in, code"
    enter_code(page, wrong_code(phone))
    expect_said_beside(code_field(page), "That code is not right. Wait for the next one in your app and try again.")
    yield "sign-in, wrong code"
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_focused()
    yield "sign-in, backup code"
    enter_backup_code(page, "0000-0000-0000-0000")
    expect_said_beside(backup_code_field(page), "That is not one of your unused backup codes.")
    yield "sign-in, wrong backup code"
    page.get_by_role("checkbox").check()
    enter_backup_code(page, phone.backup_codes[9])
    expect_backup_codes_left(page, 2)
    yield "account, 2FA on"
    page.goto(SETTINGS)
    expect(page.get_by_role("heading", name=_("Trusted browsers"))).to_be_visible()
    expect(page.get_by_role("main").locator(".note.warning")).to_contain_text("2")
    yield "settings, few codes, a trusted browser"
    let_an_hour_pass_since_the_code(page)
    for path, title in (
        (NEW_CODES, "New backup codes"),
        (SETUP, "Set up a new phone"),
        ("/accounts/reauthenticate/", "Confirm that it is you"),
        (CONFIRM, "Confirm that it is you"),
        (DISABLE, "Turn off two-factor authentication"),
    ):
        page.goto(path)
        expect_heading(page, title)
        yield f"{path} with a code"
        press(page, "Use a backup code")
        expect(backup_code_field(page)).to_be_visible()
        yield f"{path} with a backup code"
    prove(page, "Turn off", backup_code="not a code")
    expect_said_beside(
        backup_code_field(page), "A backup code has sixteen letters and digits, like 7KQ2-9MXD-4RTB-W8HN."
    )
    yield "turn off, refused"


# Each begins signed out; they need TWOFACTOR_TRUST_DAYS, and 404 among the expected statuses.
EVERY_PAGE = (pages_of_a_visitor, pages_of_an_account, pages_of_the_second_factor)


def use_up_backup_codes(count: int) -> None:
    """Use as many of the codes as if they had been typed, the first ones first."""
    unused = BackupCode.objects.filter(used_at=None).order_by("pk").values_list("pk", flat=True)[:count]
    used = BackupCode.objects.filter(pk__in=list(unused)).update(used_at=timezone.now())
    Authenticator.objects.update(codes_left=F("codes_left") - used)
