"""Failures: a message in place, no lost input, and the form can be sent again. What the browser blocks."""

import pytest
from playwright.sync_api import expect

from e2e import steps
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN

OUR_FAULT = "Something went wrong on our end."
SELECTED = "document.activeElement.selectionEnd - document.activeElement.selectionStart"
NO_CONNECTION = "We couldn't reach the site. Check your connection and try again."


def fail(page, status):
    """Answer in place of the server, or disconnect the browser if `status` is 0."""
    if status == 0:
        page.context.set_offline(True)
    else:
        page.route("**/accounts/**", lambda route: route.fulfill(status=status, body="<h1>Hello</h1>"))


def repair(page):
    page.unroute("**/accounts/**")
    page.context.set_offline(False)


def expect_error_notice(page, words):
    """Expect exactly one alert with this text, and the focus in the main element."""
    expect(page.get_by_role("alert").filter(has_text=words)).to_have_count(1)
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


@pytest.mark.expected_status(0, 200, 500)
@pytest.mark.parametrize("status, words", [(500, OUR_FAULT), (200, OUR_FAULT), (0, NO_CONNECTION)])
def test_a_failed_request_shows_one_message_keeps_the_input_and_can_be_repeated(page, user, phone, status, words):
    page.clock.install()
    page.goto(LOGIN)
    steps.submit_password(page, user, password="not-the-password")
    password, code = steps.password_field(page), steps.code_field(page)
    steps.expect_field_error(password, "Incorrect email or password.")
    fail(page, status)
    for _ in range(2):
        steps.submit_password(page, user)
        expect(steps.button(page, "Sign in")).to_be_enabled()
        expect_error_notice(page, words)
    expect(page.get_by_role("main").get_by_text("Incorrect email or password.")).to_have_count(0)
    expect(steps.email_field(page)).to_have_value(user.email)
    expect(password).to_have_value(PASSWORD)
    expect(password).to_be_focused()
    assert page.evaluate(SELECTED) == len(PASSWORD)
    expect(password).not_to_have_attribute("aria-invalid", "true")
    repair(page)
    steps.press(page, "Sign in", shows="Enter your code")
    fail(page, status)
    steps.press(page, "Use a backup code")
    expect_error_notice(page, words)
    with page.expect_request(f"**{VERIFY_LOGIN}"):
        steps.enter_code(page, phone.code())
    expect(code).to_be_editable()
    expect_error_notice(page, words)
    expect(code).to_be_focused()
    repair(page)
    made = steps.record_requests(page)
    code.fill(phone.code())
    page.clock.run_for(1000)
    assert made == []  # the form does not submit itself a second time
    steps.press(page, "Continue", shows="Your account")
    assert made.count(f"POST {VERIFY_LOGIN}") == 1


def test_a_form_older_than_a_sign_in_in_another_tab_can_be_reloaded_in_place(page, user):
    page.goto(LOGIN)
    steps.sign_in(page.context.new_page(), user, shows="Your account")
    steps.submit_password(page, user, shows="This page is out of date")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    steps.press(page, "Reload", shows="Your account")


def test_a_limited_form_shows_a_message_in_place(page, user, settings):
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}
    for title in ("Check your inbox", "Too many attempts"):
        page.goto("/accounts/password/reset/")
        steps.email_field(page).fill(user.email)
        steps.press(page, "Send the link", shows=title)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_only_a_page_from_the_back_forward_cache_is_reloaded(signed_in):
    signed_in.goto(SETTINGS)
    made = steps.record_requests(signed_in)
    signed_in.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: false}))")
    signed_in.context.clear_cookies()
    with signed_in.expect_navigation():
        signed_in.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    steps.expect_heading(signed_in, "Sign in")
    assert made.count(f"GET {SETTINGS}") == 1


# Do in the page what an injected script or markup would do, and collect the directives that block it.
INJECT = """() => {
  const root = document.documentElement, blocked = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    blocked.push(event.effectiveDirective);
    root.dataset.blocked = blocked.sort().join(" ");
  });
  for (const [tag, fields] of [
    ["script", {text: "window.bad = 1"}], ["script", {src: "https://evil.example/"}],
    ["style", {textContent: "body { color: red }"}], ["link", {rel: "stylesheet", href: "https://evil.example/"}],
    ["img", {src: "https://evil.example/"}], ["img", {src: "data:image/gif;base64,R0lGODlhAQABAAAAACw="}],
    ["iframe", {src: "/"}], ["object", {data: "/"}],
  ]) document.body.append(Object.assign(document.createElement(tag), fields));
  root.setAttribute("style", "color: red");
  root.setAttribute("onclick", "window.bad = 1");
  root.click();
  fetch("https://evil.example/").catch(() => null);
}"""


def test_the_browser_blocks_injected_content_and_requests_to_other_sites(browser, base_url):
    """This uses `browser` directly: the violations are logged, and `new_context` fails on a console error."""
    page = browser.new_page(base_url=base_url)
    page.goto("/")
    page.evaluate(INJECT)
    expect(page.locator("html")).to_have_attribute(
        "data-blocked",
        "connect-src frame-src img-src img-src object-src script-src-attr script-src-elem script-src-elem "
        "style-src-attr style-src-elem style-src-elem",
    )
    assert page.evaluate("window.bad") is None
    page.close()
