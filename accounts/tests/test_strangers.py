"""Whoever does not know the password can neither keep the owner out nor fill the owner's inbox."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache

from conftest import PASSWORD
from twofactor.tests.helpers import LOGIN, give_password, is_signed_in, new_client, sign_in

RESET, SIGNUP = "/accounts/password/reset/", "/accounts/signup/"


def guess_for(email, number, **options):
    """A wrong password of a stranger's, from one of so many sources that no limit of a source ends it."""
    stranger = new_client(REMOTE_ADDR=f"198.51.100.{number % 20 + 1}", **options)
    return stranger.post(LOGIN, {"login": email, "password": "wrong-wrong-wrong"})


def guess(user, times):
    return [guess_for(user.email, number) for number in range(times)][-1]


@pytest.fixture
def home(user):
    """The owner's own browser, signed out."""
    client = sign_in(new_client(REMOTE_ADDR="192.0.2.1"), user)
    client.post("/accounts/logout/")
    return client


def test_a_browser_that_signed_in_before_is_not_kept_out(user, home):
    assert "Too many tries" in str(errors_of(guess(user, 40)))
    give_password(home, user)
    assert is_signed_in(home)


def test_another_browser_waits_with_the_strangers(user, home):
    guess(user, 40)
    other = new_client(REMOTE_ADDR="192.0.2.2")
    give_password(other, user)
    assert not is_signed_in(other)


def test_a_browser_that_signed_in_before_has_twenty_tries_itself(user, home):
    for number in range(20):
        home.defaults["REMOTE_ADDR"] = f"192.0.2.{number + 1}"
        give_password(home, user, password="wrong-wrong-wrong")
    home.defaults["REMOTE_ADDR"] = "192.0.2.30"
    give_password(home, user)
    assert not is_signed_in(home)


def test_it_is_known_for_the_account_that_it_signed_in_to(user, home, make_user):
    other = make_user("grace@example.com")
    guess(other, 40)
    give_password(home, other)
    assert not is_signed_in(home)


def test_it_is_known_by_whichever_confirmed_address_it_signs_in_with(user, home):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    for number in range(40):
        guess_for("second@example.com", number)
    home.post(LOGIN, {"login": "second@example.com", "password": PASSWORD})
    assert is_signed_in(home)


def test_it_is_known_after_a_change_of_the_primary_address(user, home):
    address = EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    address.set_as_primary()
    user.refresh_from_db()
    guess(user, 40)
    give_password(home, user)
    assert is_signed_in(home)


def test_the_addresses_of_an_account_share_one_limit(user):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    guess(user, 20)
    assert "Too many tries" in str(errors_of(guess_for("second@example.com", 20)))


def test_no_spelling_of_the_host_gives_more_tries(user):
    for number in range(20):
        guess_for(user.email, number, HTTP_HOST=f"testserver:{8000 + number}")
    assert "Too many tries" in str(errors_of(guess_for(user.email, 20, HTTP_HOST="localhost")))


def test_no_spelling_of_an_address_gives_more_tries(db):
    for number in range(20):
        guess_for("Nobody@example.com" if number % 2 else "nobody@EXAMPLE.com", number)
    assert "Too many tries" in str(errors_of(guess_for("nobody@example.com", 20)))


def reset_password(user, mails_to):
    browser = new_client(REMOTE_ADDR="192.0.2.9")
    browser.post(RESET, {"email": user.email})
    (link,) = re.findall(r"http://testserver(/\S+/key/\S+)", mails_to(user.email)[-1].body)
    browser.post(browser.get(link)["Location"], {"password1": "zinc-Harbour-9-lantern"})


def test_a_reset_opens_the_account_again(user, mails_to):
    guess(user, 20)
    reset_password(user, mails_to)
    other = new_client(REMOTE_ADDR="192.0.2.2")
    give_password(other, user, password="zinc-Harbour-9-lantern")
    assert is_signed_in(other)


def test_a_reset_opens_no_other_account_whose_address_was_claimed(user, make_user, mails_to):
    stranger = make_user("eve@example.com")
    EmailAddress.objects.create(user=stranger, email=user.email)
    guess(user, 20)
    reset_password(stranger, mails_to)
    assert "Too many tries" in str(errors_of(guess_for(user.email, 20)))


@pytest.mark.parametrize("value", ["", "x", "a:b:c", "W10:1x2:y"])
def test_what_is_no_cookie_of_ours_is_nobodys(user, value):
    client = new_client()
    client.cookies["known"] = value
    give_password(client, user)
    assert is_signed_in(client)


def test_the_cookie_names_nobody_and_no_script_reads_it(home, user):
    cookie = home.cookies["known"]
    assert user.email not in cookie.value
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_password_alone_does_not_make_it_known(user, authenticator):
    client = new_client()
    give_password(client, user)
    assert "known" not in client.cookies


@pytest.mark.parametrize("path, fields, mails", [
    (RESET, {"email": "ada@example.com"}, 3),
    (RESET, {"email": "nobody@example.com"}, 3),
    # allauth sends one in three minutes.
    (SIGNUP, {"email": "ada@example.com", "full_name": "Eve", "password1": PASSWORD}, 1),
])  # fmt: skip
def test_an_address_gets_three_mails_an_hour_and_the_answer_stays_the_same(user, mails_to, path, fields, mails):
    answers = []
    for number in range(6):
        answer = new_client(REMOTE_ADDR=f"198.51.100.{number + 1}").post(path, fields)
        answers.append((answer.status_code, answer.headers.get("Location"), answer.content))
    assert len(mails_to(fields["email"])) == mails
    assert answers == [answers[0]] * 6
    cache.clear()
    new_client().post(path, fields)
    assert len(mails_to(fields["email"])) == mails + 1


def errors_of(response):
    return [str(error) for error in response.context["form"].non_field_errors()]
