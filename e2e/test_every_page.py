"""Each page and panel once: axe-core, no sideways scrolling at any width and in any language, password managers."""

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings as site
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from accounts.models import User
from e2e import steps
from e2e.phone import CLOCK, Phone
from e2e.test_passkeys import journey
from e2e.virtual_key import VirtualKey
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import (
    ACTIVITY,
    CONFIRM,
    DISABLE,
    LOGIN,
    NOT_ME,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SECRET,
    SETTINGS,
    SETUP,
)

LAYOUT_RULES = ["color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block"]
WIDE, PHONE, NARROWEST = 1280, 390, 320
# Password managers need the user's address in each form with a password.
WITHOUT_USERNAME = """() => [...document.querySelectorAll("form:has([type=password])")]
  .filter((form) => !form.querySelector("[autocomplete=username], [autocomplete=email]"))
  .map((form) => form.outerHTML.slice(0, 80))"""
# Safari zooms in on a field with a smaller font.
SMALL_FIELDS = """() => [...document.querySelectorAll("input:not([type=hidden], [type=checkbox]), select, textarea")]
  .filter((field) => field.checkVisibility() && parseFloat(getComputedStyle(field).fontSize) < 16)
  .map((field) => `small: ${field.outerHTML.slice(0, 80)}`)"""
# Load the page in each of these languages, and lay it out in place of the current one.
LAID_OUT_IN = f"""async (languages) => {{
  const tooWide = {steps.TOO_WIDE}, notLtr = {steps.NOT_LTR};
  const root = document.documentElement, own = {{dir: root.dir, lang: root.lang, body: document.body}};
  const show = ({{dir, lang, body}}) => {{ Object.assign(root, {{dir, lang}}); document.body.replaceWith(body); }};
  const pages = await Promise.all(languages.map(async (language) => {{
    const answer = await fetch(location.href, {{headers: {{"Accept-Language": language}}}});
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const {{dir, lang}} = page.documentElement;
    return {{dir, lang, body: page.body}};
  }}));
  const found = pages.flatMap((page) => {{
    show(page);
    return [...tooWide(), ...notLtr()].map((what) => `in ${{page.lang}}: ${{what}}`);
  }});
  show(own);
  const shown = pages.map(({{lang}}) => lang);
  return shown.join() === languages.join() ? found : [`came in ${{shown}}`];
}}"""
# German has the longest words. Chinese and Japanese wrap anywhere, and English is shorter than the others.
OTHER_LANGUAGES = [code for code, name in site.LANGUAGES if code not in ("de", "en", "ja", "zh-hans")]


def visit(page, *pages):
    """Go through pages by their path and title. Yield each path while its page is shown."""
    for path, title in pages:
        page.goto(path)
        steps.expect_heading(page, title)
        yield path


def signed_out_pages(page, user):
    """Go through the pages of a signed-out user. Yield the name of each page while it is shown."""
    further = EmailAddress.objects.create(user=user, email="ada@elsewhere.example", verified=False)
    newcomer = User.objects.create_user("newcomer@elsewhere.example", full_name="New Person")
    new = EmailAddress.objects.create(user=newcomer, email=newcomer.email, verified=False)
    reset_key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    yield from visit(
        page,
        ("/", "A stolen password shouldn't be enough"),
        ("/security/", "How we keep accounts safe"),
        ("/accounts/password/reset/", "Reset your password"),
        ("/accounts/password/reset/done/", "Check your inbox"),
        ("/accounts/password/reset/key/none-at-all/", "This link no longer works"),
        ("/accounts/password/reset/key/done/", "Your password was changed"),
        (f"/accounts/password/reset/key/{reset_key}/", "Choose a new password"),
        ("/accounts/confirm-email/", "Check your inbox"),
        ("/accounts/confirm-email/none/", "This link no longer works"),
        (f"/accounts/confirm-email/{EmailConfirmationHMAC(further).key}/", "Sign in to confirm this address"),
        ("/accounts/inactive/", "This account is closed"),
        ("/nowhere/", "Page not found"),
        (f"/accounts/confirm-email/{EmailConfirmationHMAC(new).key}/", "Finish signing up"),
    )
    page.get_by_role("link", name=_("This wasn't me")).click()
    steps.expect_heading(page, "This wasn't me")
    yield "reject an address"
    yield from visit(page, ("/accounts/signup/", "Sign up"))
    for label, text in (("Full name", "G"), ("Email", "g@example.com"), ("Password", "short")):
        page.get_by_label(_(label), exact=True).fill(text)
    steps.press(page, "Create account")
    steps.expect_field_error(steps.password_field(page), "12")
    yield "sign-up, refused"
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Create account", shows="Check your inbox")
    steps.press(page, "Send again")
    steps.expect_text(
        page,
        "Another link is on its way. "
        "We send at most three an hour, so if nothing new arrives, use the last one you got.",
    )
    yield "inbox, sent again"
    steps.press(page, "Wrong address?", shows="Sign up")
    expect(steps.email_field(page)).to_be_focused()
    yield "sign-up, wrong address"
    page.goto(LOGIN)
    steps.submit_password(page, user, password="not-the-password")
    steps.expect_field_error(steps.password_field(page), "Incorrect email or password.")
    yield "sign-in, refused"


def account_pages(page, user):
    """Go through the account's pages and the setup."""
    EmailAddress.objects.create(user=user, email="ada@elsewhere.example", verified=False)
    EmailAddress.objects.create(user=user, email="ada@third.example", verified=True)
    steps.use_session(page, user)
    yield from visit(
        page,
        ("/", "Your account"),
        ("/accounts/name/", "Change your name"),
        ("/accounts/delete/", "Delete your account"),
        ("/accounts/email/", "Email addresses"),
        ("/accounts/password/change/", "Change your password"),
        ("/accounts/sessions/", "Sessions"),
        (REAUTHENTICATE, "Confirm it's you"),
        ("/accounts/logout/", "Sign out?"),
        (SETTINGS, "Security"),
        (ACTIVITY, "Recent activity"),
        (NOT_ME, "This wasn't me"),
        (SETUP, "Turn on two-factor authentication"),
    )
    steps.password_field(page).fill("not-the-password")
    steps.press(page, "Continue")
    steps.expect_field_error(steps.password_field(page), "Incorrect password. Try again.")
    yield "setup, wrong password"
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Continue")
    phone = Phone(steps.key_of(page))
    yield "setup, scan"
    steps.press(page, "Continue")
    expect(steps.code_field(page)).to_be_focused()
    yield "setup, verify"
    error = "That code isn't right. Check that you scanned this QR code, and try the next code."
    steps.expect_wrong_code(page, phone.wrong_code(), error)
    yield "setup, wrong code"
    steps.enter_code(page, phone.code(), shows="Save your backup codes")
    page.get_by_text(_("Check your copy")).click()
    yield "setup, backup codes"
    page.get_by_role("checkbox", name=_("I've saved these codes")).check()
    steps.press(page, "Done", shows="You're protected")
    yield "setup, success"
    steps.press(page, "Go to Security", shows="Security")
    yield "settings, 2FA on"


def second_factor_pages(page, user):
    """Go through sign-in with the trust checkbox, step-up, and all changes of 2FA."""
    phone = Phone(SECRET, AuthenticatorApp.objects.activate(user, secret=SECRET))
    steps.use_up_backup_codes(left=3)
    page.goto(LOGIN)
    steps.submit_password(page, user, shows="Enter your code")
    yield "sign-in, code"
    error = "That code isn't right. Wait for the next one and try again."
    steps.expect_wrong_code(page, phone.wrong_code(), error)
    yield "sign-in, wrong code"
    steps.press(page, "Lost your phone and your codes?", shows="Lost your phone and your codes?")
    yield "lost everything"
    steps.press(page, "I found a backup code")
    expect(steps.backup_code_field(page)).to_be_focused()
    yield "sign-in, backup code"
    steps.expect_wrong_backup_code(page)
    yield "sign-in, wrong backup code"
    page.get_by_role("checkbox").check()
    steps.enter_backup_code(page, phone.backup_codes[9], shows="Your account")
    yield "account, 2FA on"
    page.goto(SETTINGS)
    expect(page.get_by_role("heading", name=_("Trusted browsers"))).to_be_visible()
    expect(page.get_by_role("main").locator(".tf-note.tf-warning")).to_contain_text("2")
    yield "settings, few codes, a trusted browser"
    CLOCK.advance(3600)
    yield from visit(
        page,
        (REGENERATE, "New backup codes"),
        (SETUP, "Set up a new phone"),
        (REAUTHENTICATE, "Confirm it's you"),
        (CONFIRM, "Confirm it's you"),
        (DISABLE, "Turn off two-factor authentication"),
    )
    steps.submit_proof(page, "Turn off", backup_code="not a code")
    error = "A backup code has 16 letters and digits, like 7KQ2-9MXD-4RTB-W8HN."
    steps.expect_field_error(steps.backup_code_field(page), error)
    yield "turn off, refused"


def passkey_pages(page, user):
    """Go through the journey with a passkey alone."""
    VirtualKey(page)
    yield from journey(page, user)


def resize(page, width, text):
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("size => { document.documentElement.style.fontSize = size }", text)


@pytest.mark.browser_context_args(locale="de")
@pytest.mark.expected_status(404)
@pytest.mark.parametrize("pages", [signed_out_pages, account_pages, second_factor_pages, passkey_pages])
def test_every_page_is_accessible_and_never_scrolls_sideways(page, user, settings, pages):
    """Check every page and panel in German, and the layout of every URL in other languages."""
    settings.TWOFACTOR_TRUST_DAYS = 30
    found, seen = [], set()
    for name in pages(page, user):
        steps.wait_for_transition(page)
        problems = steps.axe_violations(page, type="tag", values=steps.AXE_RULES)
        problems += page.evaluate(steps.TOO_WIDE) + page.evaluate(WITHOUT_USERNAME) + page.evaluate(SMALL_FIELDS)
        page.emulate_media(color_scheme="dark")
        for width, text in ((NARROWEST, "100%"), (PHONE, "200%")):
            resize(page, width, text)
            too_wide = page.evaluate(steps.TOO_WIDE) + page.get_by_role("main").evaluate(steps.BROKEN_WORDS)
            problems += [f"at {width} px and {text} text: {what}" for what in too_wide]
        problems += [f"dark: {what}" for what in steps.axe_violations(page, type="rule", values=LAYOUT_RULES)]
        if page.url not in seen:
            problems += page.evaluate(LAID_OUT_IN, OTHER_LANGUAGES)
        seen.add(page.url)
        resize(page, WIDE, "")
        page.emulate_media(color_scheme="light")
        found += [f"{name}: {what}" for what in problems]
    assert found == []
