"""Sign-up: users can sign in after they have confirmed their address by the link in the email."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from django.core.mail import EmailMessage
from playwright.sync_api import Page, expect

from accounts.models import User
from conftest import PASSWORD
from e2e.steps import expect_field_error, expect_heading, password_field, press, sign_in, sign_out, submit_password

GRACE = "grace@example.com"
Emails = Callable[[str], list[EmailMessage]]


def sign_up(page: Page, *, email: str = GRACE, password: str = PASSWORD, at: str = "/") -> None:
    page.goto(at)
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    page.get_by_label("Full name").fill("Grace Example")
    page.get_by_label("E-mail").fill(email)
    password_field(page).fill(password)
    press(page, "Sign up")


def link_in(message: EmailMessage) -> str:
    found = re.search(r"https?://\S+", str(message.body))
    assert found, f"no link in: {message.body}"
    return found[0]


def test_signing_up_confirming_the_address_and_signing_in(page: Page, emails_to: Emails) -> None:
    sign_up(page)
    expect_heading(page, "Check your inbox")
    page.goto(link_in(emails_to(GRACE)[0]))
    expect(page.get_by_role("main")).to_contain_text(f"This confirms your new account for {GRACE}.")
    press(page, "Yes, confirm")
    expect_heading(page, "Sign in")
    submit_password(page, User.objects.get(email=GRACE))
    expect_heading(page, "Your account")
    expect(page.get_by_role("main")).to_contain_text("Grace Example")
    sign_out(page)


def test_the_confirmation_link_uses_site_url_not_the_host_header(page: Page, emails_to: Emails, base_url: str) -> None:
    sign_up(page, at=base_url.replace("localhost", "127.0.0.1"))
    expect_heading(page, "Check your inbox")
    assert urlsplit(link_in(emails_to(GRACE)[0])).netloc == urlsplit(base_url).netloc


def test_nobody_signs_in_before_the_address_is_confirmed(page: Page, emails_to: Emails) -> None:
    sign_up(page)
    expect_heading(page, "Check your inbox")
    sign_in(page, User.objects.get(email=GRACE))
    expect_heading(page, "Check your inbox")
    page.goto("/accounts/2fa/")
    expect_heading(page, "Sign in")


def test_a_used_confirmation_link_shows_a_message(page: Page, emails_to: Emails) -> None:
    sign_up(page)
    expect_heading(page, "Check your inbox")
    link = link_in(emails_to(GRACE)[0])
    page.goto(link)
    press(page, "Yes, confirm")
    expect_heading(page, "Sign in")
    page.goto(link)
    expect_heading(page, "This link no longer works")


def test_a_taken_address_gets_the_same_answer_and_its_owner_an_email(page: Page, user: User, emails_to: Emails) -> None:
    sign_up(page, email=user.email)
    expect_heading(page, "Check your inbox")
    assert len(emails_to(user.email)) == 1


@pytest.mark.parametrize("password,words", [("short", "at least 12"), ("password1234", "too common")])
def test_a_weak_password_is_a_field_error(page: Page, password: str, words: str) -> None:
    sign_up(page, password=password)
    expect_field_error(password_field(page), words)
    expect(page.get_by_label("E-mail")).to_have_value(GRACE)
