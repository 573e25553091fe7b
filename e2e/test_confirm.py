"""The second factor once more, for a host's own pages: in place, without JavaScript, back, in two tabs, and wrong."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from accounts.models import User
from e2e.phone import Phone
from e2e.steps import (
    CONFIRM,
    backup_code_field,
    code_field,
    enter_backup_code,
    enter_code,
    expect_heading,
    expect_said,
    expect_said_beside,
    has_script,
    let_an_hour_pass_since_the_code,
    press,
    requests_of,
    session_of,
    wrong_code,
)
from twofactor.models import Authenticator
from twofactor.tests import host
from twofactor.tests.host import HOST, REPORT, ROW

ASKED = "Confirm that it is you"
NOT_KEPT = "What you sent was not kept."
WITHOUT_SCRIPT = pytest.mark.browser_context_args(java_script_enabled=False)


@pytest.fixture(autouse=True)
def a_host(settings: Any) -> None:
    settings.ROOT_URLCONF = "twofactor.tests.host"
    host.deleted.clear()


@pytest.fixture
def owner(signed_in_with_code: Page) -> Page:
    """On the host's page, an hour after the code."""
    let_an_hour_pass_since_the_code(signed_in_with_code)
    signed_in_with_code.goto(HOST)
    return signed_in_with_code


def delete(page: Page, note: str) -> None:
    page.get_by_label("Note").fill(note)
    press(page, "Delete")


def test_a_link_asks_in_place_and_leads_on(owner: Page, phone: Phone) -> None:
    made = requests_of(owner)
    press(owner, "Report")
    expect_heading(owner, ASKED)
    expect(owner).to_have_url(re.compile(f"{CONFIRM}\\?next="))
    expect(owner).to_have_title(re.compile(f"^{ASKED}"))
    expect(code_field(owner)).to_be_focused()
    assert made == [f"GET {REPORT}"]
    enter_code(owner, wrong_code(phone))
    expect_said_beside(code_field(owner), "That code is not right.")
    enter_code(owner, phone.code())
    expect_heading(owner, "Report")
    assert made == [f"GET {REPORT}", f"POST {CONFIRM}", f"POST {CONFIRM}", f"GET {REPORT}"]


def test_what_is_posted_in_place_is_kept_nowhere_and_sent_again_by_its_owner(
    owner: Page, user: User, backup_codes: list[str]
) -> None:
    before = session_of(owner).session_key
    delete(owner, "the-first-note")
    expect_heading(owner, ASKED)
    expect_said(owner, NOT_KEPT)
    press(owner, "Use a backup code")
    expect_said(owner, NOT_KEPT)
    raw = [str(row.get_decoded()) for row in Session.objects.all()]
    assert str(user.pk) in "".join(raw)
    assert "the-first-note" not in "".join(raw) + owner.url + owner.content()
    enter_backup_code(owner, backup_codes[0])
    expect_heading(owner, "Host")
    expect_said(owner, "please send it again")
    assert session_of(owner).session_key != before
    assert host.deleted == []
    delete(owner, "the-second-note")
    expect_said(owner, "Deleted.")
    assert host.deleted == ["the-second-note"]


def test_a_button_that_swaps_a_cell_leads_to_the_page_and_back(owner: Page, phone: Phone) -> None:
    press(owner, "Load the row")
    expect_heading(owner, ASKED)
    enter_code(owner, phone.code())
    expect_heading(owner, "Host")
    press(owner, "Load the row")
    expect(owner.get_by_role("cell")).to_have_text("the row")


def test_in_place_the_form_needs_nothing_of_the_page_around_it(owner: Page, backup_codes: list[str]) -> None:
    owner.evaluate("""
        for (const name of ["hx-boost", "hx-target", "hx-swap", "hx-sync", "hx-disabled-elt"])
          document.getElementById("main").removeAttribute(name);
        document.querySelector("#row button").setAttribute("hx-target", "#panel");
    """)
    made = requests_of(owner)
    press(owner, "Load the row")
    expect_heading(owner, ASKED)
    expect(owner.locator("#panel")).to_have_count(1)
    owner.evaluate("window.isTheSamePage = true")
    press(owner, "Use a backup code")
    enter_backup_code(owner, "0000-0000-0000-0000")
    expect_said_beside(backup_code_field(owner), "That is not one of your unused backup codes.")
    expect(owner.locator("#panel")).to_have_count(1)
    assert owner.evaluate("window.isTheSamePage")
    enter_backup_code(owner, backup_codes[0])
    expect_heading(owner, "Host")
    assert made == [f"GET {ROW}", f"GET {CONFIRM}", f"POST {CONFIRM}", f"POST {CONFIRM}", f"GET {HOST}"]


def test_back_leads_to_the_hosts_page_and_after_the_proof_asks_for_nothing(owner: Page, phone: Phone) -> None:
    press(owner, "Report")
    expect_heading(owner, ASKED)
    owner.go_back()
    expect_heading(owner, "Host")
    owner.go_forward()
    expect_heading(owner, ASKED)
    enter_code(owner, phone.code())
    expect_heading(owner, "Report")
    owner.go_back()
    expect_heading(owner, "Report")


def test_of_two_tabs_the_second_goes_on_by_the_proof_of_the_first(owner: Page, phone: Phone) -> None:
    other = owner.context.new_page()
    other.goto(REPORT)
    expect_heading(other, ASKED)
    owner.goto(REPORT)
    enter_code(owner, phone.code())
    expect_heading(owner, "Report")
    enter_code(other, wrong_code(phone))
    expect_heading(other, "Report")
    assert Authenticator.objects.get().failures == 0


def test_five_wrong_codes_sign_out(owner: Page, phone: Phone) -> None:
    press(owner, "Report")
    expect_heading(owner, ASKED)
    for _ in range(4):
        enter_code(owner, wrong_code(phone))
        expect_said_beside(code_field(owner), "That code is not right.")
        expect(code_field(owner)).to_have_value("")
    enter_code(owner, wrong_code(phone))
    expect_heading(owner, "Sign in")
    expect_said(owner, "Too many wrong codes. Please sign in again.")


@WITHOUT_SCRIPT
def test_without_javascript_it_is_a_page_of_its_own(owner: Page, phone: Phone) -> None:
    assert not has_script(owner)
    press(owner, "Report")
    expect_heading(owner, ASKED)
    press(owner, "Use a backup code")
    press(owner, "Use a code from your app")
    enter_code(owner, phone.code())
    expect_heading(owner, "Report")


@WITHOUT_SCRIPT
def test_without_javascript_what_is_posted_is_sent_again_by_its_owner(owner: Page, phone: Phone) -> None:
    delete(owner, "the-first-note")
    expect_heading(owner, ASKED)
    expect_said(owner, NOT_KEPT)
    assert "the-first-note" not in "".join(str(row.get_decoded()) for row in Session.objects.all())
    enter_code(owner, phone.code())
    expect_heading(owner, "Host")
    delete(owner, "the-second-note")
    expect_said(owner, "Deleted.")
    assert host.deleted == ["the-second-note"]
