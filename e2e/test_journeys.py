"""The main journey by keyboard, on a phone right to left, and without JavaScript."""

import gzip
import re
from itertools import product

import pytest
from playwright.sync_api import expect

from e2e import steps
from e2e.phone import Phone
from twofactor.models import SecondFactor
from twofactor.tests.constants import LOGIN, PASSWORD, REGENERATE, SETTINGS, SETUP, VERIFY_SETUP

# --- By keyboard ----------------------------------------------------------------------------------

# True if the focused element has an outline of at least two pixels.
VISIBLE = """element => {
  const style = getComputedStyle(element);
  return element.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def tab_to(page, target):
    """Press Tab until this element has the focus, and expect a visible focus."""
    expect(target).to_be_visible()
    for _ in range(40):
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate(VISIBLE), f"the focus is not visible on {target}"
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {target}")


def type_into(page, field, text):
    tab_to(page, field)
    page.keyboard.type(text)


def press(page, role, name, *, shows=""):
    """Move to a button and press Space, or to a link and press Enter. Expect the focus in the panel that follows."""
    tab_to(page, page.get_by_role("main").get_by_role(role, name=name, exact=True))
    page.keyboard.press("Space" if role == "button" else "Enter")
    if shows:
        expect_focused_panel(page, shows)


def expect_focused_panel(page, name):
    """Expect a panel with this heading, and the focus in it: on the heading or on the first field."""
    steps.expect_heading(page, name)
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


def test_the_main_journey_by_keyboard(page, user):
    """Every control is reachable, its focus is visible, and no swap loses the focus."""
    page.goto("/")
    press(page, "link", "Sign in")
    expect(steps.email_field(page)).to_be_focused()
    page.keyboard.type(user.email)
    type_into(page, steps.password_field(page), PASSWORD)
    page.keyboard.press("Enter")
    steps.expect_heading(page, "Your account")
    press(page, "link", "Turn on", shows="Turn on two-factor authentication")
    type_into(page, steps.password_field(page), PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    expect_focused_panel(page, "Turn on two-factor authentication")
    phone = Phone.scan(steps.qr_code(page))
    press(page, "link", "Continue", shows="Enter the code from your app")
    page.keyboard.type(phone.code())
    expect(page.get_by_role("heading", name="Save your backup codes")).to_be_focused()
    codes = steps.backup_codes_on(page)
    tab_to(page, page.get_by_role("checkbox", name="I've saved these codes"))
    page.keyboard.press("Space")
    press(page, "button", "Done", shows="You're protected")
    expect_focused_panel(page, "You're protected")
    press(page, "link", "Go to Security", shows="Security")
    press(page, "link", "Turn off", shows="Turn off two-factor authentication")
    press(page, "link", "Use a backup code")
    expect(steps.backup_code_field(page)).to_be_focused()
    type_into(page, steps.password_field(page), PASSWORD)
    type_into(page, steps.backup_code_field(page), codes[0])
    press(page, "button", "Turn off")
    steps.expect_text(page, "Two-factor authentication is off.")
    expect_focused_panel(page, "Security")


def test_the_skip_link_is_first_and_skips_the_header(page):
    page.goto("/")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).not_to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


def test_the_focus_is_visible_on_every_element_in_every_color_scheme(signed_in_with_code):
    page = signed_in_with_code
    page.goto(SETTINGS)
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator("a:focus, button:focus, select:focus")
        if not focused.count():
            break
        reached.add(focused.inner_text())
        for scheme, forced in product(("light", "dark"), ("none", "active")):
            page.emulate_media(color_scheme=scheme, forced_colors=forced)
            assert focused.evaluate(VISIBLE), f"{focused.inner_text()}, {scheme}, {forced}"
    assert {"Sign out", "Security", "New backup codes", "New phone", "Turn off"} <= reached


# --- On a phone, right to left --------------------------------------------------------------------

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
KILOBYTE = 1024
# As in Cumulative Layout Shift, a shift within 500 ms of user input does not count.
# A swap moves what is below it, also where its response took longer.
RECORD_SHIFTS = """const swaps = [];
document.addEventListener("htmx:beforeSwap", () => swaps.push({from: performance.now(), to: Infinity}));
document.addEventListener("htmx:afterSettle", () => {
  const end = () => { swaps.at(-1).to = performance.now(); };
  requestAnimationFrame(() => requestAnimationFrame(end));
});
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    const moved = shift.sources.map(({node}) => node?.className || node?.nodeName);
    const isSwap = swaps.some(({from, to}) => from <= shift.startTime && shift.startTime <= to);
    if (!shift.hadRecentInput && !isSwap) window.recordShift(`${location.pathname} by ${shift.value}: ${moved}`);
  }
}).observe({type: "layout-shift", buffered: true});"""
RECORD_SWAPS = """document.addEventListener("htmx:beforeSwap", ({detail}) => {
  const {verb, path} = detail.requestConfig;
  if (detail.shouldSwap) window.recordSwap(`${verb} ${path}`, detail.serverResponse);
});"""


def gzipped_size(sent):
    """Return the size after compression. The site compresses its static files only (docs/decisions.md)."""
    return len(gzip.compress(sent))


@pytest.mark.browser_context_args(**PHONE, locale="ar", reduced_motion="no-preference")
def test_the_main_journey_on_a_phone_right_to_left(page, user):
    """It is accessible, nothing moves unless the user does something, and a swap has at most 3 KB."""
    found, swaps = [], {}

    def record_shift(shift):
        found.append(shift)

    def record_swap(name, html):
        swaps[name] = max(gzipped_size(html.encode()), swaps.get(name, 0))

    page.expose_function("recordShift", record_shift)
    page.expose_function("recordSwap", record_swap)
    page.add_init_script(RECORD_SHIFTS + RECORD_SWAPS)
    for name in steps.main_journey_pages(page, user):
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        problems = page.evaluate(steps.NOT_LTR) + page.evaluate(steps.TOO_WIDE)
        if name == "scan":
            steps.wait_for_transition(page)
            problems += steps.axe_violations(page, type="tag", values=steps.AXE_RULES)
        found += [f"{name}: {what}" for what in problems]
    assert found == []
    assert swaps.keys() >= {f"post {path}" for path in (LOGIN, SETUP, VERIFY_SETUP, REGENERATE)}
    assert {name: size for name, size in swaps.items() if size > 3 * KILOBYTE} == {}


def test_the_first_page_has_at_most_45_kilobytes_all_from_this_site(page, base_url):
    page.goto("/")
    loaded = page.evaluate("performance.getEntries().filter((entry) => entry.initiatorType).map(({name}) => name)")
    assert all(url.startswith(base_url) for url in loaded)
    sizes = {url.removeprefix(base_url): gzipped_size(page.request.get(url).body()) for url in loaded}
    assert {path.rsplit(".", 1)[-1] for path in sizes} >= {"/", "css", "js"}
    assert sum(sizes.values()) <= 45 * KILOBYTE, sizes


# --- Without JavaScript ---------------------------------------------------------------------------


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_main_journey_without_javascript(page, user):
    """Each form is a plain form, each swap is a page, and nothing that needs the script is shown."""
    key = ""
    for name in steps.main_journey_pages(page, user):
        assert not page.evaluate("'htmx' in window")
        if name == "scan":
            key = steps.key_of(page)
            expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        if name == "verify":
            for go_back in (lambda: steps.press(page, "Back"), page.go_back):
                go_back()
                assert steps.key_of(page) == key
                steps.press(page, "Continue")
        if name == "backup codes":
            expect(page.get_by_role("button", name=re.compile("Copy|Download|Print"))).to_have_count(0)
            expect(page.get_by_text("Check your copy")).to_be_hidden()
        if name == "code":
            hint = "The six digits your authenticator app shows now."
            expect(steps.code_field(page)).to_have_accessible_description(hint)
            steps.expect_wrong_code(page, "000000")
    assert not SecondFactor.objects.exists()
