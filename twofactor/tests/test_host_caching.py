"""The app's own views forbid caching, also in a host without middleware for it."""

import pytest

from twofactor.tests.helpers import (
    DISABLE,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    STATUS,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    code_now,
    give_password,
    new_client,
    sign_in,
    sign_in_with_2fa,
)


def is_stored(response):
    return "no-store" not in response.headers.get("Cache-Control", "")


def test_no_page_is_stored(user):
    client = sign_in_with_2fa(user)
    assert [path for path in (SETTINGS, STATUS, SETUP, REGENERATE, DISABLE) if is_stored(client.get(path))] == []


def test_the_key_and_the_codes_are_not_stored(user):
    client = sign_in(new_client(), user)
    shown = client.post(SETUP, {"password": PASSWORD})
    answer = client.post(VERIFY_SETUP, {"code": code_now(shown.context["key"].replace(" ", ""))})
    assert len(answer.context["codes"]) == 10
    assert not is_stored(shown)
    assert not is_stored(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_the_stage_is_not_stored(htmx, user, authenticator):
    client = new_client(htmx=htmx)
    assert not is_stored(give_password(client, user))
    assert not is_stored(client.get(f"{VERIFY_LOGIN}?method=backup"))
    assert not is_stored(client.post(VERIFY_LOGIN, {"code": "12"}))
