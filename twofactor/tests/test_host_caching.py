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
)


def is_stored(response):
    return "no-store" not in response.headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", [SETTINGS, STATUS, SETUP, REGENERATE, DISABLE])
def test_no_page_is_stored(path, client_with_2fa):
    assert not is_stored(client_with_2fa.get(path))


def test_the_key_and_the_codes_are_not_stored(signed_in_client, secret):
    assert not is_stored(signed_in_client.post(SETUP, {"password": PASSWORD}))
    assert not is_stored(signed_in_client.get(VERIFY_SETUP))
    key = signed_in_client.get(SETUP).context["key"].replace(" ", "")
    answer = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert len(answer.context["codes"]) == 10
    assert not is_stored(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_the_stage_is_not_stored(htmx, user, authenticator):
    client = new_client(htmx=htmx)
    assert not is_stored(give_password(client, user))
    for path in (VERIFY_LOGIN, f"{VERIFY_LOGIN}?method=backup"):
        assert not is_stored(client.get(path))
    assert not is_stored(client.post(VERIFY_LOGIN, {"code": "12"}))
