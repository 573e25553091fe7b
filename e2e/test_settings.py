"""The settings page: the status after a change in another tab, an ended session, and two clicks."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as site
from playwright.sync_api import expect

from e2e import steps
from twofactor.tests.constants import DISABLE, EMAIL, PASSWORD, SETTINGS

SESSIONS = "/accounts/sessions/"


@pytest.mark.expected_status(0)
def test_the_status_follows_a_change_in_another_tab_and_keeps_the_focus(signed_in_with_code, phone):
    page = signed_in_with_code
    main = page.get_by_role("main")
    page.goto(SETTINGS)
    page.evaluate("window.isSamePage = true")
    steps.button(page, "New phone").focus()
    steps.use_up_backup_codes(left=2)
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        steps.return_to_tab(page)
    expect(main).to_contain_text("10 of 10 left")
    page.context.set_offline(False)
    steps.return_to_tab(page)
    expect(main).to_contain_text("2 of 10 left")
    expect(steps.button(page, "New phone")).to_be_focused()
    other = page.context.new_page()
    other.goto(DISABLE)
    steps.submit_proof(other, "Turn off", code=phone.code())
    steps.expect_text(other, "Two-factor authentication is off.")
    steps.return_to_tab(page)
    expect(main.get_by_role("heading", name="Two-factor authentication is off")).to_be_visible()
    expect(steps.button(page, "Turn off")).to_have_count(0)
    expect(steps.button(page, "Turn on")).to_be_visible()
    expect(steps.button(page, "New phone")).to_have_count(0)
    assert page.evaluate("window.isSamePage") is True
    page.context.clear_cookies(name="sessionid")
    steps.return_to_tab(page)
    steps.expect_heading(page, "Sign in")
    assert parse_qs(urlsplit(page.url).query) == {"next": [SETTINGS]}


def test_an_ended_session_redirects_a_form_to_sign_in_and_back_to_the_form(signed_in_with_code, user, phone):
    page = signed_in_with_code
    page.goto(DISABLE)
    page.context.clear_cookies(name="sessionid")
    steps.submit_proof(page, "Turn off", code=phone.code())
    steps.submit_password(page, user)
    steps.enter_code(page, phone.code(), shows="Turn off two-factor authentication")
    expect(page).to_have_url(re.compile(f"{DISABLE}$"))


@pytest.mark.expected_status(0)
def test_a_later_click_replaces_an_earlier_one_and_a_form_is_sent_once(signed_in_with_code, phone):
    page = signed_in_with_code
    page.goto(SETTINGS)
    made = steps.record_requests(page)
    steps.hold_requests(page, SESSIONS)
    with page.expect_request(f"**{SESSIONS}"):
        steps.press(page, "See sessions")
    steps.press(page, "Email", shows="Email addresses")
    page.goto(DISABLE)
    steps.hold_requests(page, DISABLE)
    with page.expect_request(f"**{DISABLE}"):
        steps.submit_proof(page, "Turn off", code=phone.code())
    steps.press(page, "Cancel")
    steps.expect_text(page, "Two-factor authentication is on")
    assert made == [f"GET {SESSIONS}", f"GET {EMAIL}", f"GET {DISABLE}", f"POST {DISABLE}", f"GET {SETTINGS}"]
    page.unroute(f"**{DISABLE}*")
    page.goto(DISABLE)
    made.clear()
    steps.hold_requests(page, SETTINGS)
    steps.password_field(page).fill(PASSWORD)
    steps.code_field(page).fill(phone.code())
    with page.expect_request(f"**{SETTINGS}"):
        steps.press(page, "Cancel")
    steps.button(page, "Turn off").dblclick()
    steps.expect_text(page, "Two-factor authentication is off.")
    assert made == [f"GET {SETTINGS}", f"POST {DISABLE}"]


def test_the_tabs_are_in_one_row_of_a_narrow_phone_in_every_language(signed_in):
    page = signed_in
    page.set_viewport_size({"width": 320, "height": 640})
    for language, _name in site.LANGUAGES:
        page.context.add_cookies([{"name": site.LANGUAGE_COOKIE_NAME, "value": language, "url": site.SITE_URL}])
        page.goto(SETTINGS)
        expect(page.locator("html")).to_have_attribute("lang", language)
        tabs = page.get_by_role("main").get_by_role("navigation").get_by_role("link")
        tops = tabs.evaluate_all("(all) => all.map((tab) => tab.offsetTop)")
        assert len(tops) == 3
        assert len({*tops}) == 1, language
