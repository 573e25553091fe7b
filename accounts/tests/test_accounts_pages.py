"""allauth's pages as this site uses them: each works, mails lead to SITE_URL, and changes want a proof."""

import html
import re
import time

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from conftest import PASSWORD
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    VERIFY_LOGIN,
    code_now,
    errors,
    give_password,
    inputs,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

SIGNUP, EMAIL, REAUTHENTICATE = "/accounts/signup/", "/accounts/email/", "/accounts/reauthenticate/"
CHANGE, RESET = "/accounts/password/change/", "/accounts/password/reset/"
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEWCOMER = {"full_name": "Bob New", "email": "Bob@Example.com", "password1": PASSWORD}
LINK = re.compile(r"https?://\S+")


@pytest.fixture(params=["plain", "htmx"])
def visitor(request):
    return new_client(htmx=request.param == "htmx")


@pytest.fixture
def elsewhere(settings):
    """A site whose mails lead to another place than the Host header says."""
    settings.SITE_URL = "https://2fa.example"
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]


def link_in(message, *, site="http://testserver"):
    link = LINK.findall(message.body)[0]
    assert link.startswith(f"{site}/")
    return link.removeprefix(site)


def follow(client, response):
    """Go where the answer leads, by whichever kind of redirect."""
    while target := redirect_target(response):
        response = client.get(target)
    return response


# --- Sign-up --------------------------------------------------------------------------------------


def test_signing_up_confirming_and_signing_in(visitor, db, mails_to):
    assert set(inputs(visitor.get(SIGNUP))) == {"csrfmiddlewaretoken", "full_name", "email", "password1"}
    follow(visitor, visitor.post(SIGNUP, NEWCOMER))
    user = User.objects.get()
    assert (user.email, user.full_name) == ("bob@example.com", "Bob New")
    assert not is_signed_in(visitor)
    give_password(visitor, user)
    assert not is_signed_in(visitor), "an unconfirmed address signs in"
    path = link_in(mails_to("bob@example.com")[0])
    assert visitor.get(path).status_code == 200
    assert not EmailAddress.objects.get().verified, "a GET confirms, which mail scanners do"
    visitor.post(path)
    assert EmailAddress.objects.get().verified
    browser = new_client()
    give_password(browser, user)
    assert is_signed_in(browser)


@pytest.mark.parametrize("host", ["testserver", "other.example"])
def test_the_link_starts_with_site_url_whatever_the_host_header_says(db, elsewhere, mails_to, host):
    new_client().post(SIGNUP, NEWCOMER, headers={"Host": host})
    assert link_in(mails_to("bob@example.com")[0], site="https://2fa.example").startswith("/accounts/confirm-email/")


@pytest.mark.parametrize("typed, field", [
    ({"password1": "short"}, "password1"), ({"email": "nobody"}, "email"), ({"full_name": ""}, "full_name"),
    ({"full_name": "x" * 151}, "full_name"), ({"password1": "x" * 129}, "password1"),
    ({"email": "nul\0@example.com"}, "email"), ({"full_name": "nul\0"}, "full_name"),
])  # fmt: skip
def test_a_sign_up_that_will_not_do_is_a_message_by_the_field(visitor, db, typed, field):
    response = visitor.post(SIGNUP, {**NEWCOMER, **typed})
    assert set(errors(response)) == {field}
    assert inputs(response)[field]["aria-invalid"] == "true"
    assert not User.objects.exists()


def test_an_address_that_is_taken_gets_the_same_answer_and_a_mail_of_its_own(visitor, user, mails_to):
    taken = visitor.post(SIGNUP, {**NEWCOMER, "email": user.email.upper()})
    free = new_client(htmx="HX-Request" in taken["Vary"] and taken.status_code == 204).post(SIGNUP, NEWCOMER)
    assert (taken.status_code, redirect_target(taken)) == (free.status_code, redirect_target(free))
    assert User.objects.filter(full_name="Bob New").count() == 1
    assert len(mails_to(user.email)) == 1


# --- Password -------------------------------------------------------------------------------------


def test_changing_the_password_ends_the_other_sessions_and_tells_the_owner(visitor, user, mails_to):
    other = sign_in(new_client(), user)
    sign_in(visitor, user)
    before = visitor.session.session_key
    visitor.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert visitor.session.session_key != before
    assert visitor.get(SETTINGS).status_code == 200
    assert redirect_target(other.get(SETTINGS)).startswith(LOGIN)
    assert len(mails_to(user.email)) == 1


@pytest.mark.parametrize("typed, field", [
    ({"oldpassword": "wrong", "password1": NEW_PASSWORD}, "oldpassword"),
    ({"oldpassword": PASSWORD, "password1": "short"}, "password1"),
    ({"oldpassword": PASSWORD, "password1": "x" * 129}, "password1"),
])  # fmt: skip
def test_a_new_password_that_will_not_do_is_a_message_by_the_field(visitor, user, typed, field):
    response = sign_in(visitor, user).post(CHANGE, typed)
    assert set(errors(response)) == {field}
    assert User.objects.get().check_password(PASSWORD)


def test_after_a_change_the_sessions_list_shows_this_browser(user):
    client = sign_in(new_client(), user)
    client.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})
    (session,) = client.get("/accounts/sessions/").context["sessions"]
    assert session.session_key == client.session.session_key


def test_a_reset_changes_the_password_and_signs_nobody_in(visitor, user, elsewhere, mails_to):
    visitor.post(RESET, {"email": user.email.upper()}, headers={"Host": "other.example"})
    path = link_in(mails_to(user.email)[0], site="https://2fa.example")
    page = visitor.get(path)
    form_at = redirect_target(page) or path
    visitor.post(form_at, {"password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert not is_signed_in(visitor)
    assert not is_signed_in(follow(visitor, visitor.get(path)).client), "the link works twice"


def test_a_reset_leaves_2fa_on_and_opens_a_delay(user, authenticator, secret, mails_to):
    Authenticator.objects.update(failures=9, delayed_until=int(time.time()) + 3600)
    client = new_client()
    client.post(RESET, {"email": user.email})
    path = link_in(mails_to(user.email)[0])
    client.post(redirect_target(client.get(path)), {"password1": NEW_PASSWORD})
    give_password(client, user, password=NEW_PASSWORD)
    assert not is_signed_in(client)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(client)


def test_a_reset_gives_known_and_unknown_addresses_the_same_answer(visitor, user):
    known, unknown = (visitor.post(RESET, {"email": address}) for address in (user.email, "nobody@example.com"))
    assert (known.status_code, redirect_target(known)) == (unknown.status_code, redirect_target(unknown))


# --- The site's name ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ['Acme, "Inc." <b>{{ x }} &amp; 100 %(y)s', "二要素/認証🔐", "x" * 300])
def test_any_site_name_is_in_the_title_as_it_is(client, db, settings, name):
    settings.TWOFACTOR_ISSUER = name
    (title,) = re.findall(r"<title>(.*?)</title>", client.get(LOGIN).content.decode(), re.DOTALL)
    assert html.unescape(title).split(" · ")[-1] == name
