"""The device cookie: which accounts a browser has signed in to."""

import re
import time

import pytest
from django.core import signing
from django.http import HttpResponse

from twofactor import known_browsers
from twofactor.tests.constants import LOGOUT
from twofactor.tests.helpers import give_password, new_client, sign_in


def content_of(cookie):
    return signing.loads(cookie, salt=known_browsers.SALT)


@pytest.fixture
def remember(rf):
    """Remember an account in one browser after another. Return the cookie of the last response."""

    def remember(user, function=known_browsers.remember):
        function(request := rf.get("/"), response := HttpResponse(), user)
        if "known" in response.cookies:
            rf.cookies["known"] = response.cookies["known"].value
        return request.COOKIES.get("known") if not response.cookies else response.cookies["known"].value

    return remember


def test_a_browser_is_known_only_after_the_second_factor_and_for_its_account(user, second_factor, bob, make_user, rf):
    client = new_client()
    give_password(client, user)
    assert "known" not in client.cookies
    sign_in(client, grace := make_user("grace@example.com"))
    cookie = client.cookies["known"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    rf.cookies["known"] = cookie.value
    assert [known_browsers.has_signed_in(rf.get("/"), each) for each in (grace, user, bob)] == [True, False, False]
    assert all("grace" not in part and str(grace.pk) != part for part in content_of(cookie.value))


def test_a_later_sign_in_keeps_the_id_of_the_browser_and_renews_the_cookie(user, monkeypatch):
    client = sign_in(new_client(), user)
    first = client.cookies["known"].value
    client.post(LOGOUT)
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    sign_in(client, user)
    assert client.cookies["known"].value != first
    assert content_of(client.cookies["known"].value)[0] == content_of(first)[0], "Each sign-in gives twenty more tries."


def test_the_cookie_has_the_last_ten_accounts_newest_first(make_user, remember, rf):
    users = [make_user(f"user{number}@example.com") for number in range(11)]
    for each in [*users, users[3]]:
        cookie = remember(each)
    browser, *accounts = content_of(cookie)
    assert re.fullmatch(r"\w{16}", browser)
    assert len(accounts) == 10
    entries = [re.fullmatch("[0-9a-f]{24}@[0-9]{13}", account) for account in accounts]
    assert all(entries), "A keyed hash hides the account."
    assert len(cookie) < 650
    known = [known_browsers.has_signed_in(rf.get("/"), each) for each in users]
    assert known == [False] + [True] * 10
    assert {known_browsers.browser_id(rf.get("/"), each) for each in users[1:]} == {browser}


def test_a_forgotten_account_is_removed_and_the_cookie_is_deleted_with_the_last_one(user, bob, remember, rf):
    remember(user)
    remember(bob)
    remember(bob, known_browsers.forget)
    assert [known_browsers.has_signed_in(rf.get("/"), each) for each in (user, bob)] == [True, False]
    known_browsers.forget(rf.get("/"), response := HttpResponse(), user)
    assert response.cookies["known"]["max-age"] == 0


def test_a_cookie_of_an_earlier_release_stays_valid(user, bob, rf, remember):
    digest = known_browsers.salted_hmac(known_browsers.SALT, str(user.pk), algorithm="sha256").hexdigest()
    rf.cookies["known"] = signing.dumps(["B" * 16, digest], salt=known_browsers.SALT)
    assert known_browsers.has_signed_in(rf.get("/"), user)
    browser, _, old = content_of(remember(bob))
    assert (browser, old) == ("B" * 16, digest[:24])


@pytest.mark.parametrize("value", ["", "x", "a:b:c", "W10:1x2:y", None])
def test_any_other_cookie_knows_nobody_and_is_replaced(user, rf, remember, value):
    empty = signing.dumps([], salt=known_browsers.SALT)  # not a parameter, because it contains the time
    rf.cookies["known"] = empty if value is None else value
    assert not known_browsers.browser_id(rf.get("/"), user)
    remember(user)
    assert known_browsers.has_signed_in(rf.get("/"), user)


def test_after_a_password_reset_the_browser_has_tries_of_its_own_but_has_not_signed_in(user, rf, remember):
    remember(user, known_browsers.remember_reset)
    assert known_browsers.browser_id(rf.get("/"), user)
    assert not known_browsers.has_signed_in(rf.get("/"), user)
    cookie = remember(user)
    assert known_browsers.has_signed_in(rf.get("/"), user)
    assert len(content_of(cookie)) == 2
    assert remember(user, known_browsers.remember_reset) == cookie
