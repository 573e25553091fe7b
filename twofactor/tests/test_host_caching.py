"""The app's own views forbid caching, also in a host without middleware for it."""

import pytest

from twofactor.tests.constants import PASSWORD, SETTINGS, SETUP, STATUS, STEP_UP_PAGES, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.helpers import code_now, give_password, new_client
from twofactor.tests.responses import key_shown


def is_stored(response):
    return "no-store" not in response.headers.get("Cache-Control", "")


def test_no_page_is_stored(client_with_2fa):
    assert [path for path in (SETTINGS, STATUS, *STEP_UP_PAGES) if is_stored(client_with_2fa.get(path))] == []


def test_the_key_and_the_codes_are_not_stored(signed_in_client):
    shown = signed_in_client.post(SETUP, {"password": PASSWORD})
    answer = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key_shown(shown))})
    assert len(answer.context["codes"]) == 10
    assert not is_stored(shown)
    assert not is_stored(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_the_stage_is_not_stored(htmx, user, second_factor):
    client = new_client(htmx=htmx)
    assert not is_stored(give_password(client, user))
    assert not is_stored(client.get(f"{VERIFY_LOGIN}?method=backup"))
    assert not is_stored(client.post(VERIFY_LOGIN, {"code": "12"}))
