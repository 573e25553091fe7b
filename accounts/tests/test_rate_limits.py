"""Rate limits of passwords and emails: an attacker cannot lock the owner out, nor flood their inbox."""

import re
import time
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as site

from accounts import email_limits
from twofactor.models import Limit
from twofactor.tests.constants import EMAIL, LOGIN, PASSWORD, REAUTHENTICATE
from twofactor.tests.helpers import give_password, is_signed_in, new_client, sign_in
from twofactor.tests.rows import run_on_commit, tries_left

RESET, SIGNUP = "/accounts/password/reset/", "/accounts/signup/"
SECOND, NEW_PASSWORD = "second@example.com", "zinc-Harbour-9-lantern"
FORWARDING = ["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP"]


def guess_password(email, number, **options):
    """Try a wrong password from one of twenty IP addresses, so that no limit by source applies."""
    attacker = new_client(REMOTE_ADDR=f"198.51.100.{number % 20 + 1}", **options)
    return password_errors(attacker.post(LOGIN, {"login": email, "password": "wrong-wrong-wrong"}))


def guess_passwords(email, times):
    return [guess_password(email, number) for number in range(times)][-1]


def password_errors(response):
    return str(response.context["form"].errors.get("password", []))


def can_sign_in(client, user, **fields):
    give_password(client, user, **fields)
    return is_signed_in(client)


@pytest.fixture
def known_browser(user):
    """A browser that signed in to the account and out again."""
    client = sign_in(new_client(REMOTE_ADDR="192.0.2.1"), user)
    client.post("/accounts/logout/")
    return client


def test_a_known_browser_is_not_locked_out(user, known_browser):
    assert "Too many attempts" in guess_passwords(user.email, 21)
    assert not can_sign_in(new_client(REMOTE_ADDR="192.0.2.2"), user)
    assert can_sign_in(known_browser, user)


def test_a_known_browser_has_twenty_tries_of_its_own_and_a_reset_in_it_clears_all(user, known_browser, emails_to):
    for number in range(20):
        known_browser.defaults["REMOTE_ADDR"] = f"192.0.2.{number + 1}"
        give_password(known_browser, user, password="wrong-wrong-wrong")
    known_browser.defaults["REMOTE_ADDR"] = "192.0.2.30"
    assert not can_sign_in(known_browser, user)
    guess_passwords(user.email, 20)
    reset_password(user, emails_to, known_browser)
    for browser in (known_browser, new_client()):
        assert can_sign_in(browser, user, password=NEW_PASSWORD)


def test_a_browser_is_known_with_any_confirmed_address_of_the_account(user, known_browser):
    address = EmailAddress.objects.create(user=user, email=SECOND, verified=True)
    guess_passwords(SECOND, 21)
    address.set_as_primary()
    user.refresh_from_db()
    assert can_sign_in(known_browser, user)


@pytest.mark.parametrize("tries, sources, wait, message", [
    (10, 1, 40, "Try again in 40 seconds"),
    (20, 20, 280, "Try again in 5 minutes"),
])  # fmt: skip
def test_a_rate_limited_sign_in_shows_the_remaining_wait(user, monkeypatch, tries, sources, wait, message):
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(tries):
        give_password(new_client(REMOTE_ADDR=f"198.51.100.{number % sources}"), user, password="wrong-wrong-wrong")
    monkeypatch.setattr(time, "time", lambda: now + 20.5)
    response = give_password(new_client(REMOTE_ADDR="198.51.100.0"), user)
    assert (response.status_code, response["Retry-After"]) == (429, str(wait))
    assert message in password_errors(response)
    assert can_sign_in(new_client(), user) is (sources == 1), "Only the limit per account applies to other sources."


@pytest.mark.parametrize("emails", [
    ["ada@example.com", "ADA@example.com", SECOND], ["nobody@example.com", "Nobody@EXAMPLE.com"],
], ids=["account", "no account"])  # fmt: skip
def test_no_host_header_spelling_or_second_address_gives_more_tries(user, emails):
    EmailAddress.objects.create(user=user, email=SECOND, verified=True)
    for number in range(20):
        assert "Too many" not in guess_password(emails[number % len(emails)], number, HTTP_HOST=f"testserver:{number}")
    for email in emails:
        assert "Too many attempts" in guess_password(email, 20, HTTP_HOST="localhost")


def reset_password(user, emails_to, browser=None):
    browser = browser or new_client(REMOTE_ADDR="192.0.2.9")
    browser.post(RESET, {"email": user.email})
    (link,) = re.findall(r"http://testserver(/\S+/key/\S+)", emails_to(user.email)[-1].body)
    browser.post(browser.get(link)["Location"], {"password1": NEW_PASSWORD})
    return browser


def test_a_password_reset_clears_no_limit_of_another_account_with_the_same_address(user, make_user, emails_to):
    attacker = make_user("eve@example.com")
    EmailAddress.objects.create(user=attacker, email=user.email)
    guess_passwords(user.email, 20)
    reset_password(attacker, emails_to)
    assert "Too many attempts" in guess_password(user.email, 20)
    reset_password(user, emails_to)
    assert can_sign_in(new_client(), user, password=NEW_PASSWORD)


def test_the_browser_that_reset_the_password_is_known(user, emails_to):
    browser = reset_password(user, emails_to)
    guess_passwords(user.email, 20)
    assert can_sign_in(browser, user, password=NEW_PASSWORD)


@pytest.mark.parametrize("proxies, one, other, same", [
    (0, {"X-Forwarded-For": "10.0.0.1"}, {**dict.fromkeys(FORWARDING, "10.9.9.9"), "Forwarded": "for=10.9.9.9"}, True),
    (1, {"X-Forwarded-For": "10.0.0.1, 192.0.2.7"}, {"X-Forwarded-For": "garbage, 192.0.2.7"}, True),
    (1, {"X-Forwarded-For": "10.0.0.1, 192.0.2.7"}, {"X-Forwarded-For": "10.0.0.1, 192.0.2.8"}, False),
    (1, {"X-Forwarded-For": "::ffff:192.0.2.60"}, {"X-Forwarded-For": "192.0.2.60"}, True),
    (1, {"X-Forwarded-For": "::ffff:192.0.2.60"}, {"X-Forwarded-For": "::ffff:192.0.2.61"}, False),
])  # fmt: skip
def test_the_source_is_the_last_address_that_a_trusted_proxy_wrote(db, rf, settings, proxies, one, other, same):
    """`granian --host ::` writes ::ffff:a.b.c.d. In one /64 all IPv4 addresses would be one source."""
    settings.TRUSTED_PROXY_COUNT = settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    assert tries_left(rf.post("/", headers=one)) == 20
    assert tries_left(rf.post("/", headers=other)) == (0 if same else 20)


def sign_up_data(email):
    return {"email": email, "full_name": "Bob New", "password1": PASSWORD}


@pytest.mark.parametrize("path, email", [
    (RESET, "ada@example.com"), (RESET, "nobody@example.com"), (SIGNUP, "ada@example.com"),
])  # fmt: skip
def test_an_address_gets_three_emails_an_hour_and_the_response_does_not_change(user, emails_to, path, email):
    answers = []
    for number in range(5):
        answer = new_client(REMOTE_ADDR=f"198.51.100.{number + 1}").post(path, sign_up_data(email))
        answers.append((answer.status_code, answer.headers.get("Location"), answer.content))
    assert len(emails_to(email)) == 3
    assert answers == [answers[0]] * 5
    Limit.objects.all().delete()
    new_client().post(path, sign_up_data(email))
    assert len(emails_to(email)) == 4


def test_the_page_says_the_same_for_every_address(user):
    for path, named in ((RESET, "this address"), (SIGNUP, "<strong>{}</strong>")):
        for email in ("ada@example.com", "nobody@example.com"):
            page = new_client().post(path, sign_up_data(email), follow=True).content.decode()
            assert f"If we can email {named.format(email)}, a link is on its way." in page


def test_all_emails_with_a_reset_link_share_one_limit(user, emails_to):
    for _ in range(2):
        new_client().post(RESET, {"email": user.email.upper()})
        new_client().post(SIGNUP, sign_up_data(user.email))
    assert len(emails_to(user.email)) == 3
    client = sign_in(new_client(), user)
    for _ in range(2):
        client.post(RESET, {"email": user.email})
    assert len(emails_to(user.email)) == 5, "Emails that the signed-in owner asked for are counted."


def test_all_spellings_of_a_mailbox_share_one_limit(db, mailoutbox):
    for domain in ("example.com", "ｅxample.com", "eⓧample.com", "ex\u00adample.com", "EXAMPLE.com"):
        new_client().post(RESET, {"email": f"nobody@{domain}"})
    run_on_commit()
    assert len(mailoutbox) == 3


def test_other_emails_share_one_limit_and_the_first_confirmation_is_not_counted(db, emails_to):
    new_client().post(RESET, {"email": "bob@example.com"})
    new_client().post(SIGNUP, sign_up_data("bob@example.com"))
    for _ in range(4):
        new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    unknown, *confirmations = emails_to("bob@example.com")
    assert "/signup/" in unknown.body
    assert ["/confirm-email/" in message.body for message in confirmations] == [True] * 3
    assert all("Welcome to Twofactor" in message.body for message in confirmations)


def test_repeated_sign_ups_do_not_block_a_new_confirmation_link(db, emails_to):
    for _ in range(6):
        new_client().post(SIGNUP, sign_up_data("bob@example.com"))
    before = len(emails_to("bob@example.com"))
    new_client().post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    assert len(emails_to("bob@example.com")) == before + 1


def test_an_account_sends_at_most_three_links_to_an_address_of_another_account(user, make_user, emails_to):
    client = sign_in(new_client(), make_user("eve@example.com"))
    client.post(REAUTHENTICATE, {"password": PASSWORD})
    client.post(EMAIL, {"action_add": "", "email": user.email})
    for _ in range(4):
        answer = client.post(EMAIL, {"action_send": "", "email": user.email}, follow=True)
    assert len(emails_to(user.email)) == 3
    assert f"If we can email {user.email}, a link is on its way." in answer.content.decode()


def test_every_email_with_a_link_is_rate_limited():
    """Notifications link to a page that is the same for everyone."""
    sources = Path(site.BASE_DIR, "templates", "account", "email").glob("*.html")
    with_a_link = {f"account/email/{path.stem}" for path in sources if "{% block action %}" in path.read_text()}
    assert with_a_link == {*email_limits.LIMITED_EMAILS, "account/email/notification"}
