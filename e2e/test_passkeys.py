"""Passkeys with Chromium's virtual authenticator: adding one, signing in, step-up, and what can go wrong."""

import re

import pytest
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from e2e import steps
from e2e.phone import CLOCK, Phone
from e2e.virtual_key import SECURITY_KEY, VirtualKey
from twofactor.models import Passkey, SecurityEvent
from twofactor.tests.constants import DISABLE, PASSWORD, REGENERATE, SETTINGS, VERIFY_LOGIN
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.softkey import UV, SoftKey

SCRIPT = "/static/twofactor/passkeys.js"
ADD = f"{SETTINGS}passkeys/add/"
CREATE, USE = "Create a passkey", "Use your passkey"
DONE = "You're protected"
NOT_ACCEPTED = "That passkey didn't work."
MISSING = "This device has no passkey for your account."


@pytest.fixture
def virtual_key(page):
    return VirtualKey(page)


@pytest.fixture
def passkey(user, virtual_key):
    """The user's only credential, on a device that does not sync it."""
    key = SoftKey(flags=UV)
    virtual_key.store(key)
    return add_passkey(user, key, rp_id="localhost", name="Laptop")


@pytest.fixture
def passkey_page(page, user, passkey):
    """A page with the passkey form of a pending sign-in."""
    steps.use_session(page, user)
    page.goto(VERIFY_LOGIN)
    return page


@pytest.fixture
def signed_in_with_passkey(passkey_page):
    steps.press(passkey_page, USE, shows="Your account")
    return passkey_page


def expect_sentence(page, words, button=USE):
    """Expect this sentence, and the focus on the button."""
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text(_(words))
    expect(steps.button(page, button)).to_be_focused()


def expect_questions(page, counts):
    expect(page.locator("html")).to_have_attribute("data-questions", counts)


def open_card(page, label, name):
    """Follow the link "Rename" or "Remove" of the credential with this name."""
    page.get_by_role("link", name=f"{_(label)} {_(name)}", exact=True).click()


# --- The journey ----------------------------------------------------------------------------------


def journey(page, user):
    """Use a passkey for everything, from turning 2FA on to turning it off. Yield the name of each page."""
    steps.sign_in(page, user, shows="Your account")
    steps.press(page, "Turn on", shows="Turn on two-factor authentication")
    page.get_by_role("main").get_by_role("link", name=re.compile(_("Passkey"))).click()
    expect(page).to_have_url(re.compile(ADD))
    yield "turn on"
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Continue")
    page.get_by_label(_("Name (optional)")).fill("Laptop")
    yield "create"
    steps.press(page, CREATE)
    steps.backup_codes_on(page)
    yield "backup codes"
    steps.save_backup_codes(page, shows=DONE)
    steps.expect_text(page, "On this device only")
    yield "security"
    steps.sign_out(page)
    steps.sign_in(page, user, shows=USE)
    expect(steps.button(page, USE)).to_be_focused()
    yield "sign-in"
    steps.press(page, USE, shows="Your account")
    page.goto(REGENERATE)
    expect(steps.password_field(page)).to_have_count(0)
    yield "step-up"
    steps.press(page, "Make new codes")
    steps.save_backup_codes(page)
    open_card(page, "Rename", "Laptop")
    yield "rename"
    page.get_by_role("textbox", name=_("Name")).fill("Work")
    steps.press(page, "Save", shows="Security")
    steps.press(page, "Add an app", shows="Add an authenticator app")
    steps.press(page, "Continue")
    phone = Phone(steps.key_of(page))
    steps.press(page, "Continue")
    steps.enter_code(page, phone.code(), shows="Security")
    yield "security with passkey and app"
    open_card(page, "Remove", "Authenticator app")
    yield "remove the app"
    steps.press(page, "Remove", shows="Security")
    open_card(page, "Remove", "Work")
    steps.expect_heading(page, "Turn off two-factor authentication")  # it is the last credential
    yield "turn off"
    steps.press(page, "Turn off", shows="Security")
    steps.expect_text(page, "Two-factor authentication is off.")


@pytest.mark.browser_context_args(viewport={"width": 390, "height": 844}, color_scheme="dark", locale="ar")
def test_a_passkey_alone_does_everything_and_its_pages_are_accessible(page, user, virtual_key):
    found = []
    for name in journey(page, user):
        steps.wait_for_transition(page)
        problems = steps.axe_violations(page, type="tag", values=steps.AXE_RULES) + page.evaluate(steps.TOO_WIDE)
        found += [f"{name}: {problem}" for problem in problems]
    assert found == []


def test_a_further_passkey_is_added_on_another_device_and_the_first_one_removed(signed_in_with_passkey, virtual_key):
    page = signed_in_with_passkey
    page.goto(ADD)
    steps.press(page, "Continue")
    steps.press(page, CREATE)
    expect_sentence(page, "This device already has a passkey for your account.", CREATE)
    virtual_key.clear()  # as another device
    steps.press(page, CREATE, shows="Security")
    expect(page.get_by_role("heading", name="Laptop")).to_be_visible()
    open_card(page, "Remove", "Laptop")
    steps.press(page, "Remove", shows="Security")
    steps.expect_text(page, "Your passkey was removed.")
    expect(page.get_by_role("heading", name="Laptop")).to_have_count(0)


def test_a_passkey_is_the_first_method_beside_the_code_and_the_backup_code(code_page, user, phone, virtual_key):
    key = SoftKey()
    virtual_key.store(key)
    add_passkey(user, key, rp_id="localhost")
    steps.use_session(code_page, user)
    code_page.goto(VERIFY_LOGIN)
    for link, field in (("Use a code from your app", steps.code_field), ("Use a backup code", steps.backup_code_field)):
        steps.press(code_page, link)
        expect(field(code_page)).to_be_focused()
    steps.press(code_page, USE, shows=USE)
    steps.press(code_page, USE, shows="Your account")


def test_with_javascript_but_without_htmx(new_context, user):
    page = new_context().new_page()
    VirtualKey(page)
    page.route("**/htmx*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    for _name in journey(page, user):
        assert not page.evaluate("'htmx' in window")


def test_without_javascript_a_sentence_says_so_and_rename_and_remove_work(new_context, user, phone):
    passkey = add_passkey(user, SoftKey(), name="Laptop")
    Passkey.objects.update(rp_id="localhost")
    page = new_context(java_script_enabled=False).new_page()
    steps.sign_in(page, user, shows=USE)
    expect(steps.button(page, USE)).to_be_hidden()
    expect(steps.button(page, "Cancel")).to_be_visible()
    steps.press(page, "Use a code from your app")
    steps.enter_code(page, phone.code(), shows="Your account")
    page.goto(SETTINGS)
    open_card(page, "Rename", "Laptop")
    page.get_by_role("textbox", name="Name").fill("Old laptop")
    steps.press(page, "Save", shows="Security")
    open_card(page, "Remove", "Old laptop")
    steps.press(page, "Use a code from your app")
    steps.submit_proof(page, "Remove", code=phone.code())
    steps.expect_text(page, "Your passkey was removed.")
    assert not Passkey.objects.filter(pk=passkey.pk).exists()


# --- The browser refuses --------------------------------------------------------------------------

# What a browser does when the user closes its dialog after a while.
CANCEL = """() => {
  const get = navigator.credentials.get;
  navigator.credentials.get = () => new Promise((_, reject) => setTimeout(() => {
    navigator.credentials.get = get;
    reject(new DOMException("", "NotAllowedError"));
  }, 600));
}"""
CHANGE_OPTIONS = """changes => {
  const form = document.querySelector("[data-passkey]");
  const { publicKey } = JSON.parse(form.dataset.options);
  form.dataset.options = JSON.stringify({ publicKey: { ...publicKey, ...changes } });
}"""
# Count the questions, in attributes because the CSP forbids what Playwright waits for.
COUNT_QUESTIONS = """
let asked = 0, open = 0;
const show = () => { document.documentElement.dataset.questions = `${asked} asked, ${open} open`; };
navigator.credentials.get = ({ signal }) => new Promise((_, reject) => {
  asked += 1;
  open += 1;
  show();
  signal.addEventListener("abort", () => { open -= 1; show(); reject(signal.reason); });
})"""
OLD_BROWSER = "() => { delete PublicKeyCredential.parseRequestOptionsFromJSON }"


def test_each_failure_has_a_sentence_and_the_next_click_asks_again(passkey_page, virtual_key):
    page = passkey_page
    options = page.locator("[data-passkey]").get_attribute("data-options")
    page.evaluate(CANCEL)
    steps.press(page, USE)
    expect_sentence(page, "We didn't get a passkey.")
    page.evaluate(CHANGE_OPTIONS, {"timeout": 600})
    with virtual_key.untouched():
        steps.press(page, USE)
        expect_sentence(page, "That took too long.")
    page.evaluate(CHANGE_OPTIONS, {"rpId": "another.example"})
    steps.press(page, USE)
    expect_sentence(page, "Passkeys don't work at this address.")
    page.evaluate(CHANGE_OPTIONS, {"rpId": "localhost", "allowCredentials": [{"type": "public-key", "id": "AAAA"}]})
    steps.press(page, USE)
    expect_sentence(page, MISSING)
    page.evaluate("text => { document.querySelector('[data-passkey]').dataset.options = text }", options)
    steps.press(page, USE, shows="Your account")


def test_a_browser_without_passkeys_says_so(passkey_page):
    passkey_page.evaluate(OLD_BROWSER)
    steps.press(passkey_page, USE)
    expect_sentence(passkey_page, "This browser can't use passkeys.")


def test_another_method_and_a_second_click_end_the_open_question(page, user, passkey):
    page.add_init_script(COUNT_QUESTIONS)
    steps.sign_in(page, user, shows=USE)
    steps.press(page, USE)
    expect_questions(page, "1 asked, 1 open")
    steps.press(page, "Use a backup code")
    expect(steps.backup_code_field(page)).to_be_focused()
    expect_questions(page, "1 asked, 0 open")
    steps.press(page, USE, shows=USE)
    steps.press(page, USE)
    steps.press(page, USE)
    expect_questions(page, "3 asked, 1 open")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_nothing_is_asked_without_a_click(page, user, passkey):
    page.add_init_script(COUNT_QUESTIONS)
    steps.sign_in(page, user, shows=USE)
    assert page.locator("html").get_attribute("data-questions") is None
    page.reload()
    steps.expect_heading(page, USE)
    steps.press(page, USE)
    expect_questions(page, "1 asked, 1 open")


def test_a_click_before_the_script_has_come_waits_for_it(page, user, passkey):
    steps.use_session(page, user)
    held = steps.hold_requests(page, SCRIPT)
    with page.expect_request(f"**{SCRIPT}"):
        page.goto(VERIFY_LOGIN, wait_until="domcontentloaded")
    steps.press(page, USE)
    steps.expect_heading(page, USE)
    held[0].continue_()
    steps.expect_heading(page, "Your account")


@pytest.mark.expected_status(0)
def test_a_script_that_does_not_come_is_told_like_a_lost_connection(page, user, passkey):
    steps.use_session(page, user)
    page.route(f"**{SCRIPT}", lambda route: route.abort())
    page.goto(VERIFY_LOGIN)
    steps.press(page, USE)
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("Check your connection and try again.")


# --- The site refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("bit", ["isBogusSignature", "isBadUP"])
def test_a_wrong_answer_is_refused_and_the_next_one_is_accepted(passkey_page, virtual_key, bit):
    with virtual_key.broken(bit):
        steps.press(passkey_page, USE)
        expect_sentence(passkey_page, NOT_ACCEPTED)
    steps.press(passkey_page, USE, shows="Your account")


def test_an_older_sign_count_is_refused_and_the_owner_is_told(passkey_page, virtual_key):
    Passkey.objects.update(sign_count=10)
    steps.press(passkey_page, USE)
    expect_sentence(passkey_page, NOT_ACCEPTED)
    assert SecurityEvent.objects.get().kind == SecurityEvent.Kind.PASSKEY_COPIED


def test_a_challenge_of_an_idle_page_has_expired_and_a_fresh_one_follows(passkey_page):
    CLOCK.advance(301)
    steps.press(passkey_page, USE)
    expect_sentence(passkey_page, NOT_ACCEPTED)
    steps.press(passkey_page, USE, shows="Your account")


def test_a_step_up_needs_the_password_if_the_user_was_not_verified(signed_in_with_passkey, virtual_key):
    page = signed_in_with_passkey
    page.goto(DISABLE)
    with virtual_key.broken("isBadUV"):
        steps.press(page, "Turn off")
        expect(steps.password_field(page)).to_be_focused()
        steps.password_field(page).fill(PASSWORD)
        steps.press(page, "Turn off", shows="Security")
    steps.expect_text(page, "Two-factor authentication is off.")


def test_a_security_key_without_a_pin_signs_in_and_a_step_up_asks_for_the_password_too(page, user):
    VirtualKey(page, **SECURITY_KEY)
    steps.use_session(page, user)
    page.goto(ADD)
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Continue")
    steps.press(page, CREATE)
    steps.save_backup_codes(page, shows=DONE)
    steps.sign_out(page)
    steps.sign_in(page, user, shows=USE)
    steps.press(page, USE, shows="Your account")
    page.goto(DISABLE)
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Turn off", shows="Security")


def test_a_security_key_without_a_pin_beside_a_passkey_is_used_with_the_password(page, user):
    VirtualKey(page, **SECURITY_KEY).store(key := SoftKey(flags=0))
    for each, name in ((key, "Security key"), (SoftKey(), "On another device")):
        add_passkey(user, each, rp_id="localhost", name=name)
    steps.sign_in(page, user, shows=USE)
    steps.press(page, USE, shows="Your account")
    page.goto(DISABLE)
    steps.press(page, "Turn off")
    steps.password_field(page).fill(PASSWORD)
    steps.press(page, "Turn off", shows="Security")
    steps.expect_text(page, "Two-factor authentication is off.")


def test_an_address_without_passkeys_names_the_one_that_has_them(page, user, passkey, base_url):
    steps.use_session(page, user)
    page.context.add_cookies([cookie | {"domain": "127.0.0.1"} for cookie in page.context.cookies()])
    page.goto(base_url.replace("localhost", "127.0.0.1") + VERIFY_LOGIN)
    steps.expect_heading(page, "Use a backup code")
    expect(steps.button(page, base_url)).to_have_attribute("href", base_url)
