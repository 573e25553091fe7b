"""The fields of passwords: "Show", and the minimum length while one types."""

import re

import pytest
from playwright.sync_api import expect

from e2e import steps
from twofactor.tests.constants import DISABLE, LOGIN, PASSWORD

SIGNUP = "/accounts/signup/"


def show_button(page):
    return page.get_by_role("button", name="Show password")


def test_show_shows_the_password_until_the_form_is_sent(page, user):
    page.goto(LOGIN)
    password, show = steps.password_field(page), show_button(page)
    expect(show).to_have_attribute("aria-pressed", "false")
    steps.submit_password(page, user, password="not-the-password")
    steps.expect_field_error(password, "Incorrect email or password.")
    show.click()
    expect(show).to_have_attribute("aria-pressed", "true")
    expect(password).to_have_attribute("type", "text")
    show.click()
    expect(password).to_have_attribute("type", "password")
    show.click()
    password.fill("not-this-one-either")
    steps.hold_requests(page, LOGIN)
    steps.press(page, "Sign in")
    expect(password).to_have_attribute("type", "password")


def test_a_swap_keeps_a_shown_password_and_hides_it(signed_in_with_code):
    page = signed_in_with_code
    page.goto(DISABLE)
    steps.password_field(page).fill(PASSWORD)
    show_button(page).click()
    steps.press(page, "Use a backup code")
    expect(steps.backup_code_field(page)).to_be_focused()
    expect(steps.password_field(page)).to_have_value(PASSWORD)
    expect(steps.password_field(page)).to_have_attribute("type", "password")
    expect(show_button(page)).to_have_attribute("aria-pressed", "false")


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_without_javascript_there_is_no_show_button(page, db):
    page.goto(LOGIN)
    expect(steps.password_field(page)).to_be_visible()
    expect(show_button(page)).to_have_count(0)


def test_the_length_rule_is_met_from_the_twelfth_character_on_and_said_once(page, db):
    page.goto(SIGNUP)
    password, rule, live = steps.password_field(page), page.locator("[data-min-length]"), page.locator("#live")
    expect(password).to_have_accessible_description(re.compile("At least 12 characters"))
    password.press_sequentially("e\u0301lephants-1")  # eleven characters after normalization
    expect(rule).not_to_have_class(re.compile("tf-met"))
    expect(live).to_have_text("")
    password.press("2")
    expect(rule).to_have_class(re.compile("tf-met"))
    expect(live).to_have_text("Long enough")
    page.evaluate("document.querySelector('#live').textContent = ''")
    password.press("3")
    expect(live).to_have_text("")
    password.fill("short")
    expect(rule).not_to_have_class(re.compile("tf-met"))


def test_the_fields_of_a_step_up_have_the_same_size(signed_in_with_code):
    page = signed_in_with_code
    page.goto(DISABLE)
    password, code = steps.password_field(page).bounding_box(), steps.code_field(page).bounding_box()
    assert (code["width"], code["height"]) == (password["width"], password["height"])
