"""While a request runs: the form says so, and the focus stays where it is."""

import pytest
from playwright.sync_api import expect

from e2e import steps
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, SETUP

WAITING = "One moment…"


@pytest.fixture
def sign_in_form(page, user):
    """A sign-in form that was submitted by its button, and a list with its request."""
    page.clock.install()
    page.goto(LOGIN)
    steps.email_field(page).fill(user.email)
    steps.password_field(page).fill(PASSWORD)
    held = steps.hold_requests(page, LOGIN)
    steps.press(page, "Sign in")
    return page, held


@pytest.mark.expected_status(500)
def test_a_form_is_busy_until_the_answer_and_its_button_keeps_the_focus(sign_in_form):
    page, held = sign_in_form
    form, submit = page.get_by_role("main").locator("form"), steps.button(page, "Sign in")
    expect(form).to_have_attribute("aria-busy", "true")
    expect(submit).to_have_attribute("aria-disabled", "true")
    expect(submit).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert len(held) == 1
    held[0].fulfill(status=500, body="")
    expect(form).to_have_attribute("aria-busy", "false")
    expect(submit).to_have_attribute("aria-disabled", "false")


def test_a_wait_of_a_second_is_announced(sign_in_form):
    page, held = sign_in_form
    expect(page.locator("#live")).to_have_text("")
    page.clock.run_for(1000)
    expect(page.locator("#live")).to_have_text(WAITING)
    held[0].continue_()
    steps.expect_heading(page, "Your account")


@pytest.mark.expected_status(500)
def test_an_answer_within_a_second_is_not_followed_by_an_announcement_of_the_wait(sign_in_form):
    page, held = sign_in_form
    held[0].fulfill(status=500, body="")
    expect(steps.button(page, "Sign in")).to_have_attribute("aria-disabled", "false")
    page.clock.run_for(1000)
    expect(page.locator("#live")).not_to_have_text(WAITING)


def test_a_link_makes_the_panel_busy_and_keeps_the_focus(signed_in):
    page = signed_in
    page.goto(SETTINGS)
    held = steps.hold_requests(page, SETUP)
    steps.press(page, "Turn on")
    expect(page.locator("#panel")).to_have_attribute("aria-busy", "true")
    expect(steps.button(page, "Turn on")).to_be_focused()
    held[0].continue_()
    steps.expect_heading(page, "Turn on two-factor authentication")
    expect(page.locator("#panel")).not_to_have_attribute("aria-busy", "true")
    expect(steps.password_field(page)).to_be_focused()
