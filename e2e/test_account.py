"""The account: without phone and codes, a new name, and the deletion. With HTMX and without JavaScript."""

import pytest
from playwright.sync_api import expect

from accounts.models import User
from e2e import steps
from twofactor.tests.constants import LOGIN


def find_help_and_sign_in(page, user, phone):
    """Open the help from the code step, find a backup code after all, and sign in with it."""
    page.goto(LOGIN)
    steps.submit_password(page, user, shows="Enter your code")
    steps.press(page, "Lost your phone and your codes?", shows="Lost your phone and your codes?")
    expect(page.get_by_role("banner").get_by_role("link")).to_have_count(1)  # none that would end the sign-in
    expect(page.get_by_role("main").get_by_role("link", name="no-reply@testserver")).to_be_visible()
    steps.press(page, "I found a backup code", shows="Use a backup code")
    steps.enter_backup_code(page, phone.backup_codes[0], shows="Your account")


def change_name(page):
    steps.press(page, "Change name", shows="Change your name")
    page.get_by_label("Full name").fill("Ada Lovelace")
    steps.press(page, "Save", shows="Your account")
    steps.expect_text(page, "Your name was changed.")
    expect(page.get_by_role("main")).to_contain_text("Ada Lovelace")


def delete_account(page, phone):
    """Go back once, give a wrong code, and delete the account."""
    steps.press(page, "Delete account", shows="Delete your account")
    steps.press(page, "Keep my account", shows="Your account")
    steps.press(page, "Delete account", shows="Delete your account")
    steps.submit_proof(page, "Delete my account", code=phone.wrong_code())
    steps.expect_field_error(steps.code_field(page), steps.WRONG_CODE)
    steps.submit_proof(page, "Delete my account", code=phone.code())
    steps.expect_heading(page, "A stolen password shouldn't be enough")
    steps.expect_text(page, "Your account was deleted. We've emailed you about it.")
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
    assert not User.objects.exists()


def walk_through(page, user, phone):
    find_help_and_sign_in(page, user, phone)
    change_name(page)
    delete_account(page, phone)
    page.goto(LOGIN)
    steps.submit_password(page, user)
    steps.expect_field_error(steps.password_field(page), "Incorrect email or password.")


def test_a_user_finds_help_changes_the_name_and_deletes_the_account(page, user, phone):
    walk_through(page, user, phone)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_same_without_javascript(page, user, phone):
    walk_through(page, user, phone)
