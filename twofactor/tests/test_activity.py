"""The activity page: the user's own events, newest first, twenty on a page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import get_template

from twofactor.models import SecurityEvent
from twofactor.tests.constants import ACTIVITY, HTMX, NOT_ME
from twofactor.tests.responses import is_full_page

ATTENTION = {
    "new_browser", "wrong_codes", "wrong_passwords", "locked", "passkey_copied", "reset_by_staff", "unlocked_by_staff",
}  # fmt: skip


@pytest.fixture
def make_events(user):
    """Replace the user's events by this many, one an hour."""

    def make(count):
        SecurityEvent.objects.all().delete()
        for number in range(count):
            at = user.date_joined + timedelta(hours=number)
            SecurityEvent.objects.create(user=user, kind="turned_on", created_at=at)

    return make


def hours_on(client, user, query=""):
    events = client.get(ACTIVITY + query).context["events"]
    return [int((event.created_at - user.date_joined).total_seconds() // 3600) for event in events]


@pytest.mark.parametrize("query, expected", [
    ("", range(44, 24, -1)), ("?page=2", range(24, 4, -1)), ("?page=3", range(4, -1, -1)),
    ("?page=99", range(4, -1, -1)), ("?page=x", range(44, 24, -1)), ("?page=0", range(4, -1, -1)),
])  # fmt: skip
def test_it_shows_twenty_events_a_page_newest_first(signed_in_client, user, make_events, query, expected):
    make_events(45)
    assert hours_on(signed_in_client, user, query) == list(expected)


@pytest.mark.parametrize("count, query, linked", [
    (20, "", []), (45, "", ["2"]), (45, "?page=2", ["1", "3"]), (45, "?page=3", ["2"]),
])  # fmt: skip
def test_it_links_to_newer_and_older_events(signed_in_client, make_events, count, query, linked):
    make_events(count)
    text = signed_in_client.get(ACTIVITY + query).content.decode()
    assert re.findall(rf'href="{ACTIVITY}\?page=(\d+)"', text) == linked


def test_it_shows_no_events_of_others(signed_in_client, bob):
    SecurityEvent.objects.all().delete()
    SecurityEvent.objects.create(user=bob, kind="turned_off")
    response = signed_in_client.get(ACTIVITY)
    assert not response.context["events"].object_list
    assert "Nothing yet." in response.content.decode()


def test_htmx_gets_the_panel_and_a_plain_browser_the_page(signed_in_client):
    assert is_full_page(signed_in_client.get(ACTIVITY))
    response = signed_in_client.get(ACTIVITY, headers=HTMX)
    assert not is_full_page(response)
    assert b'id="panel"' in response.content
    assert f'href="{NOT_ME}"' in response.content.decode()


def test_an_event_shows_ip_browser_and_the_time_in_utc(signed_in_client, user):
    agent = "<script>alert(1)</script> (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    at = datetime(2026, 11, 27, 14, 4, tzinfo=UTC)
    SecurityEvent.objects.all().delete()
    SecurityEvent.objects.create(user=user, kind="turned_on", ip="2001:db8::7", user_agent=agent, created_at=at)
    text = signed_in_client.get(ACTIVITY).content.decode()
    assert "2001:db8::7" in text
    assert "Firefox on Linux" in text
    assert "<script>alert" not in text
    moment = "Nov. 27, 2026, 2:04 p.m. UTC"
    (attributes, shown) = re.search(r"<time (.*?)>(.*?)</time>", text, flags=re.DOTALL).groups()
    assert attributes.split("\n")[0] == 'datetime="2026-11-27T14:04:00+00:00"'
    assert f'title="{moment}"' in attributes
    assert shown == moment


@pytest.mark.parametrize("kind", SecurityEvent.Kind.values)
def test_each_event_has_an_icon_and_those_that_need_attention_say_so(signed_in_client, user, kind):
    SecurityEvent.objects.all().delete()
    event = SecurityEvent.objects.create(user=user, kind=kind)
    text = signed_in_client.get(ACTIVITY).content.decode()
    assert get_template(event.icon).render().strip() in text
    assert text.count('aria-hidden="true"') == 1
    assert ("Check this:" in text) is (kind in ATTENTION)
    assert ("attention" in event.icon) is (kind in ATTENTION)
