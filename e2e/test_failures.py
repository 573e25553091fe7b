"""Failures: a message in place, no lost input, no request to another site, and the form can be sent again."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.adapter import AccountAdapter
from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone
from e2e.steps import (
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    code_field,
    email_field,
    enter_code,
    expect_field_error,
    expect_heading,
    expect_text,
    open_setup,
    password_field,
    press,
    record_requests,
    return_to_tab,
    sign_in,
    submit_password,
)

OUR_FAULT = "Something went wrong on our side."
NO_CONNECTION = "The site did not answer. Check your connection and try again."


def break_the_server(page: Page) -> None:
    page.route("**/accounts/**", lambda route: route.fulfill(status=500, body="<h1>Oops</h1>"))


def disconnect(page: Page) -> None:
    page.context.set_offline(True)


def repair(page: Page) -> None:
    page.unroute("**/accounts/**")
    page.context.set_offline(False)


Fault = Callable[[Page], None]
each_fault = pytest.mark.parametrize("fault,words", [(break_the_server, OUR_FAULT), (disconnect, NO_CONNECTION)])


def expect_error_notice(page: Page, words: str) -> None:
    """Expect exactly one alert with this text, and the focus in the main element."""
    expect(page.get_by_role("alert").filter(has_text=words)).to_have_count(1)
    expect(page.get_by_role("main").locator(":focus")).to_have_count(1)


# --- The server fails or the connection is lost ---------------------------------------------------


@pytest.mark.expected_status(0, 500)
@each_fault
def test_a_failed_sign_in_request_shows_a_message_and_can_be_repeated(
    page: Page, user: User, fault: Fault, words: str
) -> None:
    page.goto("/accounts/login/")
    fault(page)
    submit_password(page, user)
    expect_error_notice(page, words)
    expect_heading(page, "Sign in")
    expect(email_field(page)).to_have_value(user.email)
    repair(page)
    password_field(page).fill(PASSWORD)
    press(page, "Sign in")
    expect_heading(page, "Your account")


@pytest.mark.expected_status(0, 500)
@each_fault
def test_a_second_failure_shows_one_message(page: Page, user: User, fault: Fault, words: str) -> None:
    page.goto("/accounts/login/")
    fault(page)
    for _ in range(2):
        submit_password(page, user)
        expect(page.get_by_role("main").get_by_role("button", name="Sign in")).to_be_enabled()
        expect_error_notice(page, words)


@pytest.mark.expected_status(0, 500)
@each_fault
def test_a_failed_sign_in_request_keeps_the_input_and_removes_old_errors(
    page: Page, user: User, fault: Fault, words: str
) -> None:
    page.goto("/accounts/login/")
    submit_password(page, user, password="not-the-password")
    expect_field_error(password_field(page), "do not belong together")
    fault(page)
    submit_password(page, user)
    expect_error_notice(page, words)
    expect(page.get_by_role("main").get_by_text("do not belong together")).to_have_count(0)
    expect(password_field(page)).to_have_value(PASSWORD)
    expect(password_field(page)).to_be_focused()
    expect(password_field(page)).not_to_have_attribute("aria-invalid", "true")
    repair(page)
    press(page, "Sign in")
    expect_heading(page, "Your account")


@pytest.mark.expected_status(0, 500)
@each_fault
def test_a_failed_code_request_shows_a_message_and_can_be_repeated(
    page: Page, user: User, phone: Phone, fault: Fault, words: str
) -> None:
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    fault(page)
    enter_code(page, phone.code())
    expect_error_notice(page, words)
    expect_heading(page, "Enter your code")
    repair(page)
    made = record_requests(page)
    code_field(page).fill(phone.code())
    press(page, "Continue")
    expect_heading(page, "Your account")
    assert made.count(f"POST {VERIFY_LOGIN}") == 1


@pytest.mark.expected_status(0, 500)
@each_fault
def test_a_failed_setup_request_shows_a_message_and_can_be_repeated(
    page: Page, user: User, fault: Fault, words: str
) -> None:
    phone = open_setup(page, user)
    fault(page)
    press(page, "Continue")
    expect_error_notice(page, words)
    repair(page)
    press(page, "Continue")
    expect(code_field(page)).to_be_focused()
    fault(page)
    enter_code(page, phone.code())
    expect_error_notice(page, words)
    repair(page)
    code_field(page).fill(phone.code())
    press(page, "Verify and turn on")
    expect_heading(page, "Save your backup codes")


@pytest.mark.expected_status(500)
def test_an_exception_shows_the_sites_error_page_without_details(
    page: Page, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("a-secret-of-the-server")

    page.goto("/accounts/login/")
    monkeypatch.setattr(AccountAdapter, "get_login_stages", fail)
    submit_password(page, user)
    expect_error_notice(page, OUR_FAULT)
    page.evaluate("document.querySelector('main form').submit()")  # without htmx
    expect_heading(page, "Something went wrong")
    assert "a-secret-of-the-server" not in page.content()
    press(page, "To the start")
    expect_heading(page, "A stolen password should not be enough")


@pytest.mark.expected_status(200)
def test_a_response_of_another_server_does_not_replace_the_panel(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    page.route("**/accounts/login/", lambda route: route.fulfill(status=200, body="<h1>Proxy says hello</h1>"))
    submit_password(page, user)
    expect_error_notice(page, OUR_FAULT)
    expect_heading(page, "Sign in")


@pytest.mark.expected_status(0)
def test_a_status_that_cannot_be_refreshed_is_kept(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    signed_in.context.set_offline(True)
    with signed_in.expect_event("requestfailed"):
        return_to_tab(signed_in)
    expect(signed_in.get_by_role("main").get_by_text("Off", exact=True)).to_be_visible()
    expect_heading(signed_in, "Two-factor authentication")


# --- Outdated pages and limits --------------------------------------------------------------------


def test_a_page_older_than_a_sign_in_in_another_tab_can_be_reloaded(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    sign_in(page.context.new_page(), user)
    expect_heading(page.context.pages[1], "Your account")
    submit_password(page, user)
    expect_heading(page, "This page is out of date")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    press(page, "Load again")
    expect_heading(page, "Your account")


def test_a_form_without_its_cookies_shows_a_message_in_place(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    page.context.clear_cookies()
    submit_password(page, user)
    expect_heading(page, "This page is out of date")
    press(page, "Load again")
    expect_heading(page, "Sign in")
    submit_password(page, user)
    expect_heading(page, "Your account")


def test_a_page_from_the_back_forward_cache_is_reloaded(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    signed_in.context.clear_cookies()
    with signed_in.expect_navigation():
        signed_in.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect_heading(signed_in, "Sign in")


def test_a_page_shown_for_the_first_time_is_not_reloaded(signed_in: Page) -> None:
    signed_in.goto(SETTINGS)
    made = record_requests(signed_in)
    signed_in.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: false}))")
    expect_heading(signed_in, "Two-factor authentication")
    assert made == []


def test_pages_of_an_account_are_not_stored_by_caches(signed_in: Page) -> None:
    for path in ("/", SETTINGS, SETUP, "/accounts/email/"):
        answer = signed_in.goto(path)
        assert answer
        assert "no-store" in answer.headers["cache-control"], path


def test_too_many_tries_show_a_message_in_place(page: Page, user: User, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}
    for _ in range(2):
        page.goto("/accounts/password/reset/")
        email_field(page).fill(user.email)
        press(page, "Send the link")
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Reset your password")
    expect_heading(page, "Too many tries")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect_text(page, "Nothing was checked.")


def test_too_many_wrong_passwords_are_a_field_error(page: Page, user: User, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "1/m/ip"}
    page.goto("/accounts/login/")
    for words in ("do not belong together", "Too many tries."):
        email_field(page).fill(user.email)
        password_field(page).fill("not-the-password")
        press(page, "Sign in")
        expect_field_error(password_field(page), words)


def test_the_tenth_wrong_password_in_a_row_ends_the_session(signed_in: Page) -> None:
    signed_in.goto(SETUP)
    for _ in range(9):
        password_field(signed_in).fill("not-the-password")
        press(signed_in, "Continue")
        expect_field_error(password_field(signed_in), "That is not your password.")
    password_field(signed_in).fill("not-the-password")
    press(signed_in, "Continue")
    expect_heading(signed_in, "Sign in")
    expect_text(signed_in, "Too many wrong passwords.")


# --- Content Security Policy ----------------------------------------------------------------------


BLOCKED_ELEMENTS = {
    "an inline script": "{tag: 'script', text: 'window.bad = 1'}",
    "another site's script": "{tag: 'script', src: 'https://evil.example/'}",
    "another site's picture": "{tag: 'img', src: 'https://evil.example/'}",
    "a picture in its address": "{tag: 'img', src: 'data:image/gif;base64,R0lGODlhAQABAAAAACw='}",
    "another site's style": "{tag: 'link', rel: 'stylesheet', href: 'https://evil.example/'}",
    "an inline style": "{tag: 'style', textContent: 'body { color: red }'}",
    "a frame": "{tag: 'iframe', src: '/'}",
    "a plugin": "{tag: 'object', data: '/'}",
}


@pytest.mark.parametrize("element", BLOCKED_ELEMENTS.values(), ids=BLOCKED_ELEMENTS)
def test_the_content_security_policy_blocks(browser: Browser, base_url: str, element: str) -> None:
    """This uses `browser` directly: the violation is logged, and `new_context` fails on a console error."""
    page = browser.new_page(base_url=base_url)
    page.goto("/")
    page.evaluate(f"""() => {{
      const root = document.documentElement;
      document.addEventListener("securitypolicyviolation", (event) => root.dataset.refused = event.effectiveDirective);
      const {{tag, ...how}} = {element};
      document.body.append(Object.assign(document.createElement(tag), how));
    }}""")
    expect(page.locator("html")).to_have_attribute("data-refused", re.compile("-src"))
    assert page.evaluate("window.bad") is None
    page.close()
