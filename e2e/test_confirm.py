"""Step-up by the second factor for a host's own pages: in place, without JavaScript, in two tabs, with wrong codes."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.urls import include, path
from playwright.sync_api import Page, expect

from accounts.models import User
from e2e.phone import Phone
from e2e.steps import (
    CONFIRM,
    backup_code_field,
    code_field,
    enter_backup_code,
    enter_code,
    expect_field_error,
    expect_heading,
    expect_text,
    has_javascript,
    let_an_hour_pass,
    press,
    record_requests,
    session_of,
    wrong_code,
)
from twofactor.models import Authenticator
from twofactor.tests.hosts import pages
from twofactor.tests.hosts.pages import HOST, REPORT, ROW

STEP_UP_TITLE = "Confirm that it is you"
NOT_KEPT = "What you sent was not kept."
# The site with the pages of a host.
urlpatterns = [*pages.urlpatterns, path("", include("config.urls"))]

WITHOUT_SCRIPT = pytest.mark.browser_context_args(java_script_enabled=False)


@pytest.fixture(autouse=True)
def host_urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    pages.deleted.clear()


@pytest.fixture
def host_page(signed_in_with_code: Page) -> Page:
    """The host's page in a signed-in browser, one hour after the code."""
    let_an_hour_pass(signed_in_with_code)
    signed_in_with_code.goto(HOST)
    return signed_in_with_code


def delete(page: Page, note: str) -> None:
    page.get_by_label("Note").fill(note)
    press(page, "Delete")


def test_a_link_shows_the_step_up_form_in_place_and_then_its_page(host_page: Page, phone: Phone) -> None:
    made = record_requests(host_page)
    press(host_page, "Report")
    expect_heading(host_page, STEP_UP_TITLE)
    expect(host_page).to_have_url(re.compile(f"{CONFIRM}\\?next="))
    expect(host_page).to_have_title(re.compile(f"^{STEP_UP_TITLE}"))
    expect(code_field(host_page)).to_be_focused()
    assert made == [f"GET {REPORT}"]
    enter_code(host_page, wrong_code(phone))
    expect_field_error(code_field(host_page), "That code is not right.")
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Report")
    assert made == [f"GET {REPORT}", f"POST {CONFIRM}", f"POST {CONFIRM}", f"GET {REPORT}"]


def test_posted_data_is_not_stored_and_must_be_sent_again(host_page: Page, user: User, backup_codes: list[str]) -> None:
    before = session_of(host_page).session_key
    delete(host_page, "the-first-note")
    expect_heading(host_page, STEP_UP_TITLE)
    expect_text(host_page, NOT_KEPT)
    press(host_page, "Use a backup code")
    expect_text(host_page, NOT_KEPT)
    raw = [str(row.get_decoded()) for row in Session.objects.all()]
    assert str(user.pk) in "".join(raw)
    assert "the-first-note" not in "".join(raw) + host_page.url + host_page.content()
    enter_backup_code(host_page, backup_codes[0])
    expect_heading(host_page, "Host")
    expect_text(host_page, "please send it again")
    assert session_of(host_page).session_key != before
    assert pages.deleted == []
    delete(host_page, "the-second-note")
    expect_text(host_page, "Deleted.")
    assert pages.deleted == ["the-second-note"]


def test_a_button_that_swaps_a_cell_returns_to_its_page_after_step_up(host_page: Page, phone: Phone) -> None:
    press(host_page, "Load the row")
    expect_heading(host_page, STEP_UP_TITLE)
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Host")
    press(host_page, "Load the row")
    expect(host_page.get_by_role("cell")).to_have_text("the row")


def test_the_form_in_place_needs_no_attributes_of_the_page(host_page: Page, backup_codes: list[str]) -> None:
    host_page.evaluate("""
        for (const name of ["hx-boost", "hx-target", "hx-swap", "hx-sync", "hx-disabled-elt"])
          document.getElementById("main").removeAttribute(name);
        document.querySelector("#row button").setAttribute("hx-target", "#panel");
    """)
    made = record_requests(host_page)
    press(host_page, "Load the row")
    expect_heading(host_page, STEP_UP_TITLE)
    expect(host_page.locator("#panel")).to_have_count(1)
    host_page.evaluate("window.isSamePage = true")
    press(host_page, "Use a backup code")
    enter_backup_code(host_page, "0000-0000-0000-0000")
    expect_field_error(backup_code_field(host_page), "That is not one of your unused backup codes.")
    expect(host_page.locator("#panel")).to_have_count(1)
    assert host_page.evaluate("window.isSamePage")
    enter_backup_code(host_page, backup_codes[0])
    expect_heading(host_page, "Host")
    assert made == [f"GET {ROW}", f"GET {CONFIRM}", f"POST {CONFIRM}", f"POST {CONFIRM}", f"GET {HOST}"]


def test_back_shows_the_hosts_page_and_needs_no_second_step_up(host_page: Page, phone: Phone) -> None:
    press(host_page, "Report")
    expect_heading(host_page, STEP_UP_TITLE)
    host_page.go_back()
    expect_heading(host_page, "Host")
    host_page.go_forward()
    expect_heading(host_page, STEP_UP_TITLE)
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Report")
    host_page.go_back()
    expect_heading(host_page, "Report")


def test_step_up_in_one_tab_is_valid_in_the_other(host_page: Page, phone: Phone) -> None:
    other = host_page.context.new_page()
    other.goto(REPORT)
    expect_heading(other, STEP_UP_TITLE)
    host_page.goto(REPORT)
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Report")
    enter_code(other, wrong_code(phone))
    expect_heading(other, "Report")
    assert Authenticator.objects.get().failures == 0


def test_five_wrong_codes_sign_out(host_page: Page, phone: Phone) -> None:
    press(host_page, "Report")
    expect_heading(host_page, STEP_UP_TITLE)
    for _ in range(4):
        enter_code(host_page, wrong_code(phone))
        expect_field_error(code_field(host_page), "That code is not right.")
        expect(code_field(host_page)).to_have_value("")
    enter_code(host_page, wrong_code(phone))
    expect_heading(host_page, "Sign in")
    expect_text(host_page, "Too many wrong codes. Please sign in again.")


@WITHOUT_SCRIPT
def test_step_up_without_javascript_is_a_separate_page(host_page: Page, phone: Phone) -> None:
    assert not has_javascript(host_page)
    press(host_page, "Report")
    expect_heading(host_page, STEP_UP_TITLE)
    press(host_page, "Use a backup code")
    press(host_page, "Use a code from your app")
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Report")


@WITHOUT_SCRIPT
def test_posted_data_must_be_sent_again_without_javascript(host_page: Page, phone: Phone) -> None:
    delete(host_page, "the-first-note")
    expect_heading(host_page, STEP_UP_TITLE)
    expect_text(host_page, NOT_KEPT)
    assert "the-first-note" not in "".join(str(row.get_decoded()) for row in Session.objects.all())
    enter_code(host_page, phone.code())
    expect_heading(host_page, "Host")
    delete(host_page, "the-second-note")
    expect_text(host_page, "Deleted.")
    assert pages.deleted == ["the-second-note"]
