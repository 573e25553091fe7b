"""The main journey without JavaScript: each form is a plain form, each swap is a page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from e2e.phone import Phone
from e2e.steps import (
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    backup_code_field,
    code_field,
    enter_backup_code,
    enter_code,
    expect_heading,
    expect_text,
    has_javascript,
    key_of,
    main_journey,
    open_setup,
    password_field,
    press,
    qr_code,
    sign_in,
    submit_password,
    submit_proof,
    wrong_code,
)
from e2e.test_signup import GRACE, link_in, sign_up
from twofactor.models import Authenticator

pytestmark = pytest.mark.browser_context_args(java_script_enabled=False)


def test_signing_up_and_confirming_the_address(page: Page, emails_to: Callable[[str], list[Any]]) -> None:
    sign_up(page)
    expect_heading(page, "Check your inbox")
    page.goto(link_in(emails_to(GRACE)[0]))
    press(page, "Yes, confirm")
    expect_heading(page, "Sign in")
    submit_password(page, User.objects.get(email=GRACE))
    expect_heading(page, "Your account")


def test_the_main_journey(page: Page, user: User) -> None:
    main_journey(page, user)
    assert not has_javascript(page)
    assert not Authenticator.objects.exists()


def test_back_cancel_and_reload_work_in_the_setup(page: Page, user: User) -> None:
    phone = open_setup(page, user)
    press(page, "Continue")
    expect_heading(page, "Enter the code from your app")
    press(page, "Back")
    assert key_of(page) == phone.secret
    page.reload()
    assert key_of(page) == phone.secret
    press(page, "Continue")
    expect_heading(page, "Enter the code from your app")
    page.go_back()
    assert key_of(page) == phone.secret
    press(page, "Cancel")
    expect_heading(page, "Two-factor authentication")
    page.goto(SETUP)
    expect(password_field(page)).to_be_visible()
    expect(qr_code(page)).to_have_count(0)


def test_a_wrong_code_is_a_field_error(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    expect(page).to_have_url(re.compile(f"{VERIFY_LOGIN}$"))
    enter_code(page, wrong_code(phone))
    expect(code_field(page)).to_have_accessible_description(re.compile("That code is not right."))
    expect(code_field(page)).to_be_focused()
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def test_the_method_can_be_switched_by_links(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    press(page, "Use a backup code")
    expect(backup_code_field(page)).to_be_visible()
    enter_backup_code(page, "not a code")
    expect(backup_code_field(page)).to_have_accessible_description(re.compile("sixteen letters and digits"))
    press(page, "Use a code from your app")
    enter_code(page, phone.code())
    expect_heading(page, "Your account")


def test_cancel_ends_the_pending_sign_in(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    press(page, "Cancel")
    expect_heading(page, "Sign in")
    page.goto(VERIFY_LOGIN)
    expect_heading(page, "Sign in")


def test_sign_in_returns_to_the_requested_page(page: Page, user: User, phone: Phone) -> None:
    page.goto("/accounts/email/")
    submit_password(page, user)
    press(page, "Use a backup code")
    press(page, "Use a code from your app")
    enter_code(page, phone.code())
    expect_heading(page, "E-mail addresses")


def test_each_change_shows_errors_and_can_be_cancelled(signed_in_with_code: Page, phone: Phone) -> None:
    page = signed_in_with_code
    page.goto(SETTINGS)
    for action, button in (("New backup codes", "Make new codes"), ("New phone", "Continue"), ("Turn off", "Turn off")):
        press(page, action)
        submit_proof(page, button, code=wrong_code(phone))
        expect(code_field(page)).to_have_accessible_description(re.compile("That code is not right."))
        press(page, "Cancel")
        expect_heading(page, "Two-factor authentication")
    assert Authenticator.objects.get().secret == phone.secret


def test_the_backup_codes_have_no_script_buttons_and_are_shown_only_once(page: Page, user: User) -> None:
    phone = open_setup(page, user)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    press(page, "Continue")
    enter_code(page, phone.code())
    expect_heading(page, "Save your backup codes")
    expect(page.get_by_role("button", name=re.compile("Copy|Download|Print"))).to_have_count(0)
    expect(page.get_by_text("Check what you wrote down")).to_be_hidden()
    page.reload()
    expect_heading(page, "Two-factor authentication")
    expect_text(page, "Your backup codes are shown only once.")
    assert Authenticator.objects.get().codes_left == 10


def test_an_ended_session_redirects_to_sign_in_with_a_message(signed_in_with_code: Page) -> None:
    signed_in_with_code.goto(SETTINGS)
    Authenticator.objects.get().regenerate_backup_codes()
    press(signed_in_with_code, "New phone")
    expect_heading(signed_in_with_code, "Sign in")
    expect_text(signed_in_with_code, "You were signed out, because two-factor authentication changed.")
