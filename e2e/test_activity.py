"""Activity: a sign-in from a new browser up to "This wasn't me", and times in the user's time zone."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone
from playwright.sync_api import expect

from e2e import steps
from twofactor.models import SecurityEvent
from twofactor.tests.constants import ACTIVITY, NOT_ME, PASSWORD, SETTINGS

NEW_PASSWORD = "zinc-Harbour-9-lantern"


@pytest.fixture(params=[True, False], ids=["htmx", "plain"])
def scripted(request):
    return request.param


def test_the_owner_ends_a_sign_in_from_a_new_browser(new_context, user, scripted, base_url):
    page, thief = (new_context(java_script_enabled=scripted).new_page() for _ in range(2))
    steps.sign_in(page, user, shows="Your account")
    steps.sign_in(thief, user, shows="Your account")
    (email,) = mail.outbox
    (link,) = re.findall(rf"^{base_url}(\S+)$", email.body, flags=re.MULTILINE)
    assert link == NOT_ME
    page.goto(ACTIVITY)
    event = page.get_by_role("listitem").filter(has_text="Signed in from a new browser")
    expect(event).to_contain_text("Check this:")
    expect(event).to_contain_text("127.0.0.1")
    steps.press(page, "This wasn't me", shows="This wasn't me")
    tasks = page.get_by_role("main").get_by_role("list").get_by_role("listitem")
    steps.press(page, "Sign out others")
    steps.expect_text(page, "You're signed out everywhere else.")
    expect(tasks.nth(0)).to_contain_text("Done:")
    thief.goto(SETTINGS)
    steps.expect_heading(thief, "Sign in")
    steps.press(page, "Change password", shows="Change your password")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    steps.press(page, "Change password", shows="This wasn't me")
    expect(tasks.nth(1)).to_contain_text("Done:")
    expect(tasks.nth(2)).not_to_contain_text("Done:")
    steps.press(page, "Turn on", shows="Turn on two-factor authentication")


@pytest.mark.browser_context_args(timezone_id="Asia/Tokyo")
def test_times_are_local_or_relative_and_utc_is_their_title(signed_in_with_code, user):
    page, now = signed_in_with_code, timezone.now()
    SecurityEvent.objects.all().delete()
    old = datetime(2026, 1, 27, 14, 4, tzinfo=UTC)
    for at in (old, now - timedelta(days=3, hours=1), now - timedelta(hours=2, minutes=1), now + timedelta(minutes=9)):
        SecurityEvent.objects.create(user=user, kind="signed_in", created_at=at)
    page.goto(ACTIVITY)
    times = page.get_by_role("main").locator("time")
    expect(times).to_have_text(["now", "2 hours ago", "3 days ago", re.compile(r"Jan 27, 2026, 11:04\sPM")])
    expect(times.last).to_have_attribute("title", "Jan 27, 2026, 2:04 PM UTC")
    page.goto(SETTINGS)
    last_used = page.get_by_role("main").get_by_text("Last used:")
    expect(last_used).not_to_contain_text("UTC")
    with page.expect_response(f"**{SETTINGS}status/"):
        steps.return_to_tab(page)
    expect(last_used).not_to_contain_text("UTC")


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_without_script_times_are_in_utc(page, new_context, user):
    steps.sign_in(page, user, shows="Your account")
    page.goto(ACTIVITY)
    expect(page.get_by_role("main").locator("time")).to_have_text([re.compile("UTC$")])
