"""Step-up by the second factor for a host's own pages, in place."""

import re

import pytest
from django.urls import include, path
from playwright.sync_api import expect

from e2e import steps
from e2e.phone import CLOCK
from twofactor.tests.constants import CONFIRM
from twofactor.tests.hosts import pages
from twofactor.tests.hosts.pages import HOST, REPORT, ROW

STEP_UP_TITLE = "Confirm it's you"
urlpatterns = [*pages.urlpatterns, path("", include("config.urls"))]  # the site with the pages of a host


@pytest.fixture
def host_page(signed_in_with_code, settings):
    """The host's page in a signed-in browser, one hour after the code."""
    settings.ROOT_URLCONF = __name__
    CLOCK.advance(3600)
    signed_in_with_code.goto(HOST)
    return signed_in_with_code


def test_a_link_shows_the_step_up_form_in_place_then_its_page_and_back_shows_it_again(host_page, phone):
    made = steps.record_requests(host_page)
    steps.press(host_page, "Report", shows=STEP_UP_TITLE)
    expect(host_page).to_have_url(re.compile(f"{CONFIRM}\\?next="))
    expect(host_page).to_have_title(re.compile(f"^{STEP_UP_TITLE}"))
    expect(steps.code_field(host_page)).to_be_focused()
    assert made == [f"GET {REPORT}"]
    host_page.go_back()
    steps.expect_heading(host_page, "Host")
    host_page.go_forward()
    steps.expect_heading(host_page, STEP_UP_TITLE)
    steps.expect_wrong_code(host_page, phone.wrong_code())
    made.clear()
    steps.enter_code(host_page, phone.code(), shows="Report")
    assert made == [f"POST {CONFIRM}", f"GET {REPORT}"]
    host_page.go_back()
    steps.expect_heading(host_page, "Report")


@pytest.mark.parametrize("has_attributes", [True, False], ids=["with attributes", "without attributes"])
def test_a_button_that_swaps_a_cell_returns_to_its_page_after_step_up(host_page, phone, has_attributes):
    """The form works in place even in a page whose main element has no attributes of htmx."""
    if not has_attributes:
        host_page.evaluate("""
            for (const name of ["hx-boost", "hx-target", "hx-swap", "hx-sync"])
              document.getElementById("main").removeAttribute(name);
            document.querySelector("#row button").setAttribute("hx-target", "#panel");
        """)
    made = steps.record_requests(host_page)
    steps.press(host_page, "Load the row", shows=STEP_UP_TITLE)
    host_page.evaluate("window.isSamePage = true")
    steps.press(host_page, "Use a backup code")
    steps.expect_wrong_backup_code(host_page)
    expect(host_page.locator("#panel")).to_have_count(1)
    assert host_page.evaluate("window.isSamePage")
    steps.enter_backup_code(host_page, phone.backup_codes[0], shows="Host")
    assert [made[0], *made[-3:]] == [f"GET {ROW}", f"POST {CONFIRM}", f"POST {CONFIRM}", f"GET {HOST}"]
    steps.press(host_page, "Load the row")
    expect(host_page.get_by_role("cell")).to_have_text("the row")
