"""Rate limits of passwords and emails: an attacker cannot lock the owner out, nor flood their inbox."""

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


def guess_password(email, number, **options):
    """Try a wrong password from one of twenty IP addresses, so that no limit by source applies."""
    attacker = new_client(REMOTE_ADDR=f"198.51.100.{number % 20 + 1}", **options)
    return attacker.post(LOGIN, {"login": email, "password": "wrong-wrong-wrong"})


def guess_passwords(user, times):
    return [guess_password(user.email, number) for number in range(times)][-1]


@pytest.fixture
def known_browser(user):
    """A browser that signed in to the account and out again."""
    client = sign_in(new_client(REMOTE_ADDR="192.0.2.1"), user)
    client.post("/accounts/logout/")
    return client


def test_a_known_browser_is_not_locked_out(user, known_browser):
    assert "Too many tries" in str(password_errors(guess_passwords(user, 40)))
    give_password(known_browser, user)
    assert is_signed_in(known_browser)


def test_unknown_browsers_share_one_limit(user, known_browser):
    guess_passwords(user, 40)
    other = new_client(REMOTE_ADDR="192.0.2.2")
    give_password(other, user)
    assert not is_signed_in(other)


def test_a_known_browser_has_twenty_tries_of_its_own(user, known_browser):
    for number in range(20):
        known_browser.defaults["REMOTE_ADDR"] = f"192.0.2.{number + 1}"
        give_password(known_browser, user, password="wrong-wrong-wrong")
    known_browser.defaults["REMOTE_ADDR"] = "192.0.2.30"
    give_password(known_browser, user)
    assert not is_signed_in(known_browser)


@pytest.mark.parametrize("tries, sources, wait, message", [
    (10, 1, 40, "Try again in 40 seconds"),
    (20, 20, 280, "Try again in 5 minutes"),
])  # fmt: skip
def test_a_rate_limited_sign_in_shows_the_remaining_wait(user, monkeypatch, tries, sources, wait, message):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(tries):
        give_password(new_client(REMOTE_ADDR=f"198.51.100.{number % sources}"), user, password="wrong-wrong-wrong")
    monkeypatch.setattr(time, "time", lambda: now + 20.5)
    response = give_password(new_client(REMOTE_ADDR="198.51.100.0"), user)
    assert (response.status_code, response["Retry-After"]) == (429, str(wait))
    assert message in str(password_errors(response))


def test_a_browser_is_known_only_for_the_account_that_it_signed_in_to(user, known_browser, make_user):
    other = make_user("grace@example.com")
    guess_passwords(other, 40)
    give_password(known_browser, other)
    assert not is_signed_in(known_browser)


def test_a_browser_is_known_with_any_confirmed_address_of_the_account(user, known_browser):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    for number in range(40):
        guess_password("second@example.com", number)
    known_browser.post(LOGIN, {"login": "second@example.com", "password": PASSWORD})
    assert is_signed_in(known_browser)


def test_a_browser_stays_known_after_a_change_of_the_primary_address(user, known_browser):
    address = EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    address.set_as_primary()
    user.refresh_from_db()
    guess_passwords(user, 40)
    give_password(known_browser, user)
    assert is_signed_in(known_browser)


def test_the_addresses_of_an_account_share_one_limit(user):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    guess_passwords(user, 20)
    assert "Too many tries" in str(password_errors(guess_password("second@example.com", 20)))


def test_another_host_header_gives_no_more_tries(user):
    for number in range(20):
        guess_password(user.email, number, HTTP_HOST=f"testserver:{8000 + number}")
    assert "Too many tries" in str(password_errors(guess_password(user.email, 20, HTTP_HOST="localhost")))


def test_another_spelling_of_an_address_gives_no_more_tries(db):
    for number in range(20):
        guess_password("Nobody@example.com" if number % 2 else "nobody@EXAMPLE.com", number)
    assert "Too many tries" in str(password_errors(guess_password("nobody@example.com", 20)))


def reset_password(user, emails_to):
    browser = new_client(REMOTE_ADDR="192.0.2.9")
    browser.post(RESET, {"email": user.email})
    (link,) = re.findall(r"http://testserver(/\S+/key/\S+)", emails_to(user.email)[-1].body)
    browser.post(browser.get(link)["Location"], {"password1": "zinc-Harbour-9-lantern"})


def test_a_password_reset_clears_the_limit(user, emails_to):
    guess_passwords(user, 20)
    reset_password(user, emails_to)
    other = new_client(REMOTE_ADDR="192.0.2.2")
    give_password(other, user, password="zinc-Harbour-9-lantern")
    assert is_signed_in(other)


def test_a_password_reset_clears_no_limit_of_another_account_with_the_same_address(user, make_user, emails_to):
    attacker = make_user("eve@example.com")
    EmailAddress.objects.create(user=attacker, email=user.email)
    guess_passwords(user, 20)
    reset_password(attacker, emails_to)
    assert "Too many tries" in str(password_errors(guess_password(user.email, 20)))


@pytest.mark.parametrize("value", ["", "x", "a:b:c", "W10:1x2:y"])
def test_an_invalid_device_cookie_is_ignored(user, value):
    client = new_client()
    client.cookies["known"] = value
    give_password(client, user)
    assert is_signed_in(client)


def test_the_device_cookie_hides_the_account_and_is_http_only(known_browser, user):
    cookie = known_browser.cookies["known"]
    assert user.email not in cookie.value
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_browser_is_not_known_before_the_second_factor(user, authenticator):
    client = new_client()
    give_password(client, user)
    assert "known" not in client.cookies


# --- Emails ---------------------------------------------------------------------------------------


def sign_up_data(email):
    return {"email": email, "full_name": "Bob New", "password1": PASSWORD}


@pytest.mark.parametrize("path, fields", [
    (RESET, {"email": "ada@example.com"}),
    (RESET, {"email": "nobody@example.com"}),
    (SIGNUP, sign_up_data("ada@example.com")),
])  # fmt: skip
def test_an_address_gets_three_emails_an_hour_and_the_response_does_not_change(user, emails_to, path, fields):
    answers = []
    for number in range(6):
        answer = new_client(REMOTE_ADDR=f"198.51.100.{number + 1}").post(path, fields)
        answers.append((answer.status_code, answer.headers.get("Location"), answer.content))
    assert len(emails_to(fields["email"])) == 3
    assert answers == [answers[0]] * 6
    cache.clear()
    new_client().post(path, fields)
    assert len(emails_to(fields["email"])) == 4


def test_all_emails_with_a_reset_link_share_one_limit(user, emails_to):
    for _ in range(2):
        new_client().post(RESET, {"email": user.email.upper()})
        new_client().post(SIGNUP, sign_up_data(user.email))
    assert len(emails_to(user.email)) == 3


def test_all_spellings_of_a_mailbox_share_one_limit(db, mailoutbox):
    for domain in ("example.com", "ｅxample.com", "eⓧample.com", "ex\u00adample.com", "EXAMPLE.com"):
        new_client().post(RESET, {"email": f"nobody@{domain}"})
    mail.flush()
    assert len(mailoutbox) == 3


def test_other_emails_share_one_limit_and_the_first_confirmation_is_not_counted(db, emails_to):
    new_client().post(RESET, {"email": "bob@example.com"})
    new_client().post(SIGNUP, sign_up_data("bob@example.com"))
    for _ in range(4):
        new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    unknown, *confirmations = emails_to("bob@example.com")
    assert "/signup/" in unknown.body
    assert ["/confirm-email/" in message.body for message in confirmations] == [True] * 3


def test_repeated_sign_ups_do_not_block_a_new_confirmation_link(db, emails_to):
    new_client().post(SIGNUP, sign_up_data("bob@example.com"))
    for _ in range(6):
        new_client().post(SIGNUP, sign_up_data("bob@example.com"))
    before = len(emails_to("bob@example.com"))
    new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    assert len(emails_to("bob@example.com")) == before + 1


def test_an_account_sends_at_most_three_links_to_an_address_of_another_account(user, make_user, emails_to):
    client = sign_in(new_client(), make_user("eve@example.com"))
    client.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD})
    client.post(EMAIL, {"action_add": "", "email": user.email})
    for _ in range(6):
        answer = client.post(EMAIL, {"action_send": "", "email": user.email}, follow=True)
    assert len(emails_to(user.email)) == 3
    assert f"If we can email {user.email}, a link is on its way." in answer.content.decode()


def test_emails_requested_by_the_signed_in_owner_are_not_counted(user, emails_to):
    client = sign_in(new_client(), user)
    for _ in range(5):
        client.post(RESET, {"email": user.email})
    assert len(emails_to(user.email)) == 5


@pytest.mark.parametrize("path, fields", [
    (RESET, {"email": "ada@example.com"}),
    (RESET, {"email": "nobody@example.com"}),
    (SIGNUP, sign_up_data("ada@example.com")),
    (SIGNUP, sign_up_data("nobody@example.com")),
])  # fmt: skip
def test_the_page_says_the_same_for_every_address(user, path, fields):
    page = new_client().post(path, fields, follow=True).content.decode()
    assert "If we can email this address, a link is on its way." in page
    assert page.count("at most three an hour") == 1


def test_every_email_with_a_link_is_rate_limited():
    sources = Path(settings.BASE_DIR, "templates", "account", "email").glob("*_message.txt")
    with_a_link = {f"account/email/{path.name[:-12]}" for path in sources if "_url }}" in path.read_text()}
    assert with_a_link == adapter.RESET_LINK_EMAILS | adapter.OTHER_LINK_EMAILS


def password_errors(response):
    return [str(error) for error in response.context["form"].errors.get("password", [])]
