"""The page "Check your inbox" after a sign-up: send the link again, correct the address, and sign in."""

import re

import pytest

from accounts.models import User
from twofactor.tests.constants import LOGIN, PASSWORD
from twofactor.tests.helpers import give_password, new_client, sign_in
from twofactor.tests.responses import inputs, messages_on, redirect_target

SIGNUP, INBOX = "/accounts/signup/", "/accounts/confirm-email/"
NEWCOMER = {"full_name": "Bob New", "email": "bob@example.com", "password1": PASSWORD}


@pytest.fixture
def newcomer(db):
    """A browser that has just signed up."""
    client = new_client()
    assert redirect_target(client.post(SIGNUP, NEWCOMER)) == INBOX
    return client


def send_again(client):
    return client.get(redirect_target(client.post(INBOX)))


def test_the_page_names_the_address_once_and_is_not_stored(newcomer):
    page = newcomer.get(INBOX)
    assert page.content.decode().count("bob@example.com") == 1
    assert messages_on(page) == []
    assert "no-store" in page["Cache-Control"]


def test_send_again_sends_the_link_within_the_limits_and_always_says_the_same(newcomer, emails_to):
    pages = [send_again(newcomer) for _ in range(5)]
    assert len({tuple(messages_on(page)) for page in pages}) == 1
    emails = emails_to("bob@example.com")
    assert len(emails) == 4, "The first one, and three an hour."
    link = re.compile(r"http://testserver/accounts/confirm-email/\S+/")
    assert all(link.search(email.body) for email in emails)


def test_a_taken_address_gets_the_same_page_and_the_email_that_says_so_again(user, newcomer, emails_to):
    taken = new_client()
    taken.post(SIGNUP, {**NEWCOMER, "email": user.email})
    shown = [send_again(client).content.decode() for client in (newcomer, taken)]
    without_token = [re.sub(r'value="[^"]{64}"', "", page) for page in shown]
    assert without_token[0] == without_token[1].replace(user.email, "bob@example.com")
    assert [email.subject for email in emails_to(user.email)] == [emails_to(user.email)[0].subject] * 2


def test_a_browser_without_a_sign_up_sends_nothing_and_gets_no_session(db, mailoutbox):
    client = new_client()
    page = send_again(client)
    assert messages_on(page) == []
    assert b"Send again" not in page.content
    assert not client.cookies.get("sessionid")
    assert mailoutbox == []


def test_signing_in_with_an_unconfirmed_address_leads_to_the_page_with_this_address(newcomer):
    client = new_client()
    assert redirect_target(give_password(client, User.objects.get())) == INBOX
    assert b"bob@example.com" in client.get(INBOX).content


def test_a_wrong_address_leads_back_to_the_sign_up_with_everything_but_the_password(newcomer):
    assert "value" not in inputs(newcomer.get(SIGNUP))["email"]
    form = inputs(newcomer.get(f"{SIGNUP}?again=1"))
    assert (form["full_name"]["value"], form["email"]["value"]) == ("Bob New", "bob@example.com")
    assert "value" not in form["password1"]
    assert [name for name in form if "autofocus" in form[name]] == ["email"]


def test_a_sign_in_removes_what_was_typed_at_sign_up_from_the_session(newcomer, user):
    sign_in(newcomer, user)
    assert "bob@example.com" not in str(dict(newcomer.session))


@pytest.mark.parametrize("in_another_browser", [False, True])
def test_after_the_confirmation_the_sign_in_page_has_the_address_once(newcomer, emails_to, in_another_browser):
    client = new_client() if in_another_browser else newcomer
    (email,) = emails_to("bob@example.com")
    path = re.search(r"http://testserver(\S+)", email.body)[1]
    fields = {"full_name": "Bob New", "language": "en", "password1": PASSWORD} if in_another_browser else {}
    assert redirect_target(client.post(path, fields)) == LOGIN
    form = inputs(client.get(LOGIN))
    assert form["login"]["value"] == "bob@example.com"
    assert "autofocus" in form["password"]
    assert "value" not in inputs(client.get(LOGIN))["login"]
