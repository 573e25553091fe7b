"""Whoever does not know the password can neither keep the owner out nor fill the owner's inbox."""

import re
import time
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.cache import cache

from accounts import adapter
from conftest import PASSWORD
from twofactor import mail
from twofactor.tests.helpers import LOGIN, give_password, is_signed_in, new_client, sign_in

EMAIL, RESET, SIGNUP = "/accounts/email/", "/accounts/password/reset/", "/accounts/signup/"


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


@pytest.mark.parametrize("tries, sources, wait, words", [
    (10, 1, 40, "Try again in 40 seconds"),
    (20, 20, 280, "Try again in 5 minutes"),
])  # fmt: skip
def test_a_limited_sign_in_says_what_is_left_to_wait(user, monkeypatch, tries, sources, wait, words):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(tries):
        give_password(new_client(REMOTE_ADDR=f"198.51.100.{number % sources}"), user, password="wrong-wrong-wrong")
    monkeypatch.setattr(time, "time", lambda: now + 20.5)
    response = give_password(new_client(REMOTE_ADDR="198.51.100.0"), user)
    assert (response.status_code, response["Retry-After"]) == (429, str(wait))
    assert words in str(errors_of(response))


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


# --- Emails ---------------------------------------------------------------------------------------


def newcomer(email):
    return {"email": email, "full_name": "Bob New", "password1": PASSWORD}


@pytest.mark.parametrize("path, fields", [
    (RESET, {"email": "ada@example.com"}),
    (RESET, {"email": "nobody@example.com"}),
    (SIGNUP, newcomer("ada@example.com")),
])  # fmt: skip
def test_an_address_gets_three_emails_an_hour_and_the_answer_stays_the_same(user, mails_to, path, fields):
    answers = []
    for number in range(6):
        answer = new_client(REMOTE_ADDR=f"198.51.100.{number + 1}").post(path, fields)
        answers.append((answer.status_code, answer.headers.get("Location"), answer.content))
    assert len(mails_to(fields["email"])) == 3
    assert answers == [answers[0]] * 6
    cache.clear()
    new_client().post(path, fields)
    assert len(mails_to(fields["email"])) == 4


def test_all_emails_with_a_reset_link_share_one_limit(user, mails_to):
    for _ in range(2):
        new_client().post(RESET, {"email": user.email.upper()})
        new_client().post(SIGNUP, newcomer(user.email))
    assert len(mails_to(user.email)) == 3


def test_all_spellings_of_a_mailbox_share_one_limit(db, mailoutbox):
    for domain in ("example.com", "ｅxample.com", "eⓧample.com", "ex\u00adample.com", "EXAMPLE.com"):
        new_client().post(RESET, {"email": f"nobody@{domain}"})
    mail.flush()
    assert len(mailoutbox) == 3


def test_all_other_emails_share_one_limit_which_the_first_confirmation_does_not_spend(db, mails_to):
    new_client().post(RESET, {"email": "bob@example.com"})
    new_client().post(SIGNUP, newcomer("bob@example.com"))
    for _ in range(4):
        new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    unknown, *confirmations = mails_to("bob@example.com")
    assert "/signup/" in unknown.body
    assert ["/confirm-email/" in message.body for message in confirmations] == [True] * 3


def test_a_strangers_sign_ups_keep_no_newcomer_from_another_link(db, mails_to):
    new_client().post(SIGNUP, newcomer("bob@example.com"))
    for _ in range(6):
        new_client().post(SIGNUP, newcomer("bob@example.com"))
    before = len(mails_to("bob@example.com"))
    new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    assert len(mails_to("bob@example.com")) == before + 1


def test_an_account_sends_three_links_to_an_address_of_another_account(user, make_user, mails_to):
    client = sign_in(new_client(), make_user("eve@example.com"))
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post(EMAIL, {"action_add": "", "email": user.email})
    for _ in range(6):
        answer = client.post(EMAIL, {"action_send": "", "email": user.email}, follow=True)
    assert len(mails_to(user.email)) == 3
    assert f"If we can email {user.email}, a link is on its way." in answer.content.decode()


def test_what_the_signed_in_owner_asks_for_is_not_counted(user, mails_to):
    client = sign_in(new_client(), user)
    for _ in range(5):
        client.post(RESET, {"email": user.email})
    assert len(mails_to(user.email)) == 5


@pytest.mark.parametrize("path, fields", [
    (RESET, {"email": "ada@example.com"}),
    (RESET, {"email": "nobody@example.com"}),
    (SIGNUP, newcomer("ada@example.com")),
    (SIGNUP, newcomer("nobody@example.com")),
])  # fmt: skip
def test_the_page_says_what_is_true_of_every_address(user, path, fields):
    page = new_client().post(path, fields, follow=True).content.decode()
    assert "If we can email this address, a link is on its way." in page
    assert page.count("at most three an hour") == 1


def test_every_email_with_a_link_that_anybody_can_cause_is_counted():
    sources = Path(settings.BASE_DIR, "templates", "account", "email").glob("*_message.txt")
    with_a_link = {f"account/email/{path.name[:-12]}" for path in sources if "_url }}" in path.read_text()}
    assert with_a_link == adapter.WITH_A_RESET_LINK | adapter.WITH_ANOTHER_LINK


def errors_of(response):
    return [str(error) for error in response.context["form"].errors.get("password", [])]
