"""Trusted browsers (TWOFACTOR_TRUST_DAYS): trusted by a checkbox, forgotten by the user, ended by any change."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.phone import Phone
from e2e.steps import (
    NEW_PASSWORD,
    SETTINGS,
    VERIFY_LOGIN,
    client_after_password,
    code_field,
    enter_code,
    expect_field_error,
    expect_heading,
    let_a_minute_pass,
    press,
    sign_in,
    sign_out,
    use_cookies_of,
    wrong_code,
)
from twofactor.models import Authenticator, TrustedBrowser


@pytest.fixture(autouse=True)
def trust_days(settings: Any) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 30


@pytest.fixture
def trusted_page(page: Page, user: User, phone: Phone) -> Page:
    """A page of a browser that the user trusted at a sign-in, signed out again."""
    client = client_after_password(user)
    client.post(VERIFY_LOGIN, {"code": phone.code(), "trust": "on"})
    client.post("/accounts/logout/")
    use_cookies_of(client, page)
    let_a_minute_pass()
    return page


def box(page: Page) -> Locator:
    return page.get_by_role("checkbox", name="Trust this browser for 30 days")


def test_there_is_no_trust_checkbox_without_the_setting(page: Page, user: User, phone: Phone, settings: Any) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 0
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    expect(page.get_by_role("checkbox")).to_have_count(0)
    enter_code(page, phone.code())
    expect_heading(page, "Your account")
    page.goto(SETTINGS)
    expect(page.get_by_role("heading", name="Trusted browsers")).to_have_count(0)


def test_an_unchecked_checkbox_trusts_no_browser(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    expect(box(page)).not_to_be_checked()
    enter_code(page, phone.code())
    expect_heading(page, "Your account")
    sign_out(page)
    sign_in(page, user)
    expect_heading(page, "Enter your code")
    assert not TrustedBrowser.objects.exists()


def test_a_trusted_browser_is_asked_for_no_code_the_next_time(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    box(page).check()
    enter_code(page, phone.code())
    expect_heading(page, "Your account")
    sign_out(page)
    sign_in(page, user)
    expect_heading(page, "Your account")
    page.goto(SETTINGS)
    expect(page.get_by_role("button", name="Forget")).to_have_count(1)
    expect(page.get_by_role("main")).to_contain_text("Browser trusted")


def test_the_trust_checkbox_stays_checked_after_a_wrong_code(page: Page, user: User, phone: Phone) -> None:
    sign_in(page, user)
    box(page).check()
    enter_code(page, wrong_code(phone))
    expect_field_error(code_field(page), "That code is not right.")
    expect(box(page)).to_be_checked()


def test_another_browser_is_asked_for_a_code(trusted_page: Page, user: User, new_context: Any) -> None:
    elsewhere = new_context().new_page()
    sign_in(elsewhere, user)
    expect_heading(elsewhere, "Enter your code")


def test_another_user_of_the_trusted_browser_is_asked_for_a_code(
    trusted_page: Page, make_user: Callable[..., User], secret: str
) -> None:
    grace = make_user("grace@example.com")
    Authenticator.objects.activate(grace, secret=secret)
    sign_in(trusted_page, grace)
    expect_heading(trusted_page, "Enter your code")


@pytest.mark.parametrize("button,others", [(re.compile("^Forget(?! all)"), 0), (re.compile("^Forget all$"), 2)])
def test_a_forgotten_browser_is_asked_for_a_code(
    trusted_page: Page, user: User, button: re.Pattern[str], others: int
) -> None:
    mine = TrustedBrowser.objects.get()
    for number in range(others):
        TrustedBrowser(**fields_of(mine) | {"digest": str(number), "user_agent": "Firefox/140"}).save()
    sign_in(trusted_page, user)
    expect_heading(trusted_page, "Your account")
    trusted_page.goto(SETTINGS)
    trusted_page.get_by_role("button", name=button).click()
    expect(trusted_page.get_by_role("main")).to_contain_text("None yet.")
    expect(trusted_page.get_by_role("button", name="Forget")).to_have_count(0)
    sign_out(trusted_page)
    sign_in(trusted_page, user)
    expect_heading(trusted_page, "Enter your code")


def test_one_of_two_trusted_browsers_can_be_forgotten(trusted_page: Page, user: User) -> None:
    TrustedBrowser(**fields_of(TrustedBrowser.objects.get()) | {"digest": "1", "user_agent": "Firefox/140"}).save()
    sign_in(trusted_page, user)
    expect_heading(trusted_page, "Your account")
    trusted_page.goto(SETTINGS)
    trusted_page.get_by_role("button", name="Forget Firefox").click()
    expect(trusted_page.get_by_role("button", name=re.compile("^Forget(?! all)"))).to_have_count(1)
    sign_out(trusted_page)
    sign_in(trusted_page, user)
    expect_heading(trusted_page, "Your account")


def fields_of(browser: TrustedBrowser) -> dict[str, Any]:
    return {"user": browser.user, "binding": browser.binding, "expires_at": browser.expires_at}


def change_the_password(page: Page, user: User) -> None:
    sign_in(page, user)
    expect_heading(page, "Your account")
    page.goto("/accounts/password/change/")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
    press(page, "Change password")
    expect(page.get_by_role("main")).to_contain_text("changed")
    sign_out(page)


def make_new_backup_codes(page: Page, user: User) -> None:
    Authenticator.objects.get().regenerate_backup_codes()


def let_thirty_days_pass(page: Page, user: User) -> None:
    TrustedBrowser.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("event", [change_the_password, make_new_backup_codes, let_thirty_days_pass])
def test_trust_ends_after_a_change_and_after_thirty_days(
    trusted_page: Page, user: User, event: Callable[[Page, User], None]
) -> None:
    event(trusted_page, user)
    sign_in(trusted_page, user, password=NEW_PASSWORD if event is change_the_password else PASSWORD)
    expect_heading(trusted_page, "Enter your code")


def test_trust_ends_if_the_setting_is_turned_off(trusted_page: Page, user: User, settings: Any) -> None:
    settings.TWOFACTOR_TRUST_DAYS = 0
    sign_in(trusted_page, user)
    expect_heading(trusted_page, "Enter your code")
