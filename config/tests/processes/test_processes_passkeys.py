"""Races with passkeys over four processes: no answer is accepted twice, and no change is half done.

Each race runs TEST_ROUNDS times (3 by default), on SQLite and on PostgreSQL.
"""

import html
import json
import re

import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import ROUNDS, parallel
from twofactor.tests.constants import DISABLE, PASSWORD, REAUTHENTICATE, SETTINGS, VERIFY_LOGIN
from twofactor.tests.journeys import copy_of, is_signed_in, new_address, post, redirect_target
from twofactor.tests.softkey import UV, SoftKey

ADD = f"{SETTINGS}passkeys/add/"
OPTIONS = re.compile(r'data-options="([^"]*)"')
CEREMONY = re.compile(r'name="ceremony" value="([^"]*)"')


@pytest.fixture
def key():
    return SoftKey()


@pytest.fixture
def user(site, key):
    """A user with an app, and with a passkey made by `key`."""
    user = site.make_user()
    give_passkey(site, user, key)
    return user


def give_passkey(site, user, key):
    key.user_handle = b"h" * 64
    site.call(
        site_helpers.add_passkey, user.pk, key.credential_id.hex(), key.public_key.hex(), key.user_handle.hex(),
        flags=key.flags, sign_count=key.sign_count,
    )  # fmt: skip


def asked(page):
    """Return the options and the token of the form on this page."""
    options = json.loads(html.unescape(OPTIONS.search(page.text)[1]))["publicKey"]
    return options, CEREMONY.search(page.text)[1]


def answer(site, call, page):
    """Return what the script posts. `call`: SoftKey.get or SoftKey.create."""
    options, token = asked(page)
    return {"credential": json.dumps(call(options, origin=site.base)), "ceremony": token}


def send(clients, path, forms):
    for client in clients:
        client.headers["X-Forwarded-For"] = new_address()  # to stay below the limit of the source
    pages = parallel(lambda client, form: post(client, path, form), clients, forms)
    assert {page.status_code for page in pages} <= {200, 302, 400, 422, 429}, [page.status_code for page in pages]
    return pages


def copies(client, count):
    return [copy_of(client) for _ in range(count)]


def winners(pages, target="/"):
    return [number for number, page in enumerate(pages) if redirect_target(page) == target]


def signed_in(site, user, key):
    client = site.pending(user)
    post(client, VERIFY_LOGIN, answer(site, key.get, client.get(VERIFY_LOGIN)))
    assert is_signed_in(client)
    return client


def test_one_assertion_sent_twenty_times_signs_in_once(site, user, key):
    for _ in range(ROUNDS):
        client = site.pending(user)
        typed = answer(site, key.get, client.get(VERIFY_LOGIN))
        tabs = copies(client, 20)
        (won,) = winners(send(tabs, VERIFY_LOGIN, [typed] * 20))
        assert is_signed_in(tabs[won])
        assert not is_signed_in(client), "the key of the pending sign-in is signed in"
    assert site.second_factor(user)["failures"] == 0


def test_one_assertion_sent_twenty_times_is_one_step_up(site, user, key):
    for _ in range(ROUNDS):
        client = signed_in(site, user, key)
        typed = answer(site, key.get, client.get(REAUTHENTICATE)) | {"next": SETTINGS}
        assert len(winners(send(copies(client, 20), REAUTHENTICATE, [typed] * 20), SETTINGS)) == 1


def test_tabs_do_not_disturb_each_other(site, user, key):
    client = signed_in(site, user, key)
    for _ in range(ROUNDS):
        tabs = copies(client, 8)
        pages = [tab.get(REAUTHENTICATE) for tab in tabs]
        typed = [answer(site, key.get, page) | {"next": SETTINGS} for page in pages]
        assert winners(send(tabs, REAUTHENTICATE, typed[::-1]), SETTINGS) == list(range(8))


def test_of_parallel_assertions_with_one_count_one_is_accepted(site, user):
    give_passkey(site, user, device := SoftKey(flags=UV, sign_count=1))
    for number in range(2, ROUNDS + 2):
        device.sign_count = number
        clients = [site.pending(user) for _ in range(8)]
        typed = [answer(site, device.get, client.get(VERIFY_LOGIN)) for client in clients]
        assert len(winners(send(clients, VERIFY_LOGIN, typed))) == 1


def test_one_registration_sent_twenty_times_is_stored_once(site):
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        client = site.signed_in(user)
        page = post(client, ADD, {"password": PASSWORD})
        typed = answer(site, SoftKey().create, page)
        send(copies(client, 20), ADD, [typed] * 20)
        assert len(site.rows("Passkey", second_factor__user=user.pk)) == 1
        assert site.second_factor(user)["passkey_count"] == 1
        assert site.unused_codes(user) == 10


def test_the_last_two_credentials_are_not_removed_by_parallel_requests(site):
    for _ in range(ROUNDS):
        user = site.make_user()
        give_passkey(site, user, key := SoftKey())
        (passkey,) = site.rows("Passkey", second_factor__user=user.pk)
        client = signed_in(site, user, key)
        paths = [f"{SETTINGS}passkeys/{passkey['id']}/remove/", f"{SETTINGS}remove-app/"]
        tabs = copies(client, 2)
        forms = [answer(site, key.get, tab.get(path)) for tab, path in zip(tabs, paths, strict=True)]
        parallel(post, tabs, paths, forms)
        second_factor = site.second_factor(user)
        passkeys = site.rows("Passkey", second_factor__user=user.pk)
        apps = site.rows("AuthenticatorApp", second_factor__user=user.pk)
        assert len(passkeys) + len(apps) == 1
        assert second_factor["passkey_count"] == len(passkeys)


def test_one_assertion_turns_2fa_off_or_confirms_but_not_both(site, key):
    for _ in range(ROUNDS):
        user = site.make_user()
        give_passkey(site, user, other := SoftKey())
        client = signed_in(site, user, other)
        typed = answer(site, other.get, client.get(DISABLE)) | {"next": SETTINGS}
        tabs = copies(client, 2)
        pages = parallel(post, tabs, [DISABLE, REAUTHENTICATE], [typed] * 2)
        is_off = site.second_factor(user) == {}
        is_confirmed = redirect_target(pages[1]) == SETTINGS
        assert is_off is not is_confirmed
