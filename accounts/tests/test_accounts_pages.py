"""allauth's pages as this site configures them: sign-up, password change and password reset."""

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

SIGNUP, EMAIL, REAUTHENTICATE = "/accounts/signup/", "/accounts/email/", "/accounts/2fa/reauthenticate/"
CHANGE, RESET = "/accounts/password/change/", "/accounts/password/reset/"
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEWCOMER = {"full_name": "Bob New", "email": "Bob@Example.com", "password1": PASSWORD}
LINK = re.compile(r"https?://\S+")


@pytest.fixture(params=["plain", "htmx"])
def anonymous_client(request):
    return new_client(htmx=request.param == "htmx")


@pytest.fixture
def different_site_url(settings):
    """Set a SITE_URL that differs from the Host header."""
    settings.SITE_URL = "https://2fa.example"
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]


def link_in(message, *, site="http://testserver"):
    link = LINK.findall(message.body)[0]
    assert link.startswith(f"{site}/")
    return link.removeprefix(site)


def follow(client, response):
    """Follow redirects, both plain ones and those by HX-Redirect."""
    while target := redirect_target(response):
        response = client.get(target)
    return response


# --- Sign-up --------------------------------------------------------------------------------------


def test_a_new_user_signs_up_confirms_the_address_and_signs_in(anonymous_client, db, emails_to):
    assert set(inputs(anonymous_client.get(SIGNUP))) == {"csrfmiddlewaretoken", "full_name", "email", "password1"}
    follow(anonymous_client, anonymous_client.post(SIGNUP, NEWCOMER))
    user = User.objects.get()
    assert (user.email, user.full_name) == ("bob@example.com", "Bob New")
    assert not is_signed_in(anonymous_client)
    give_password(anonymous_client, user)
    assert not is_signed_in(anonymous_client), "An unconfirmed address can sign in."
    path = link_in(emails_to("bob@example.com")[0])
    assert anonymous_client.get(path).status_code == 200
    assert not EmailAddress.objects.get().verified, "A GET confirms the address, and mail scanners send GETs."
    anonymous_client.post(path)
    assert EmailAddress.objects.get().verified
    browser = new_client()
    give_password(browser, user)
    assert is_signed_in(browser)


@pytest.mark.parametrize("host", ["testserver", "other.example"])
def test_links_in_emails_use_site_url_and_not_the_host_header(db, different_site_url, emails_to, host):
    new_client().post(SIGNUP, NEWCOMER, headers={"Host": host})
    assert link_in(emails_to("bob@example.com")[0], site="https://2fa.example").startswith("/accounts/confirm-email/")


@pytest.mark.parametrize("typed, field", [
    ({"password1": "short"}, "password1"), ({"email": "nobody"}, "email"), ({"full_name": ""}, "full_name"),
    ({"full_name": "x" * 151}, "full_name"), ({"password1": "x" * 129}, "password1"),
    ({"email": "nul\0@example.com"}, "email"), ({"full_name": "nul\0"}, "full_name"),
])  # fmt: skip
def test_an_invalid_sign_up_shows_an_error_at_the_field(anonymous_client, db, typed, field):
    response = anonymous_client.post(SIGNUP, {**NEWCOMER, **typed})
    assert set(errors(response)) == {field}
    assert inputs(response)[field]["aria-invalid"] == "true"
    assert not User.objects.exists()


def test_sign_up_with_a_taken_address_gets_the_same_response_and_emails_the_owner(anonymous_client, user, emails_to):
    taken = anonymous_client.post(SIGNUP, {**NEWCOMER, "email": user.email.upper()})
    free = new_client(htmx="HX-Request" in taken["Vary"] and taken.status_code == 204).post(SIGNUP, NEWCOMER)
    assert (taken.status_code, redirect_target(taken)) == (free.status_code, redirect_target(free))
    assert User.objects.filter(full_name="Bob New").count() == 1
    assert len(emails_to(user.email)) == 1


# --- Password -------------------------------------------------------------------------------------


def test_a_password_change_ends_other_sessions_and_notifies_the_owner(anonymous_client, user, emails_to):
    other = sign_in(new_client(), user)
    sign_in(anonymous_client, user)
    before = anonymous_client.session.session_key
    anonymous_client.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert anonymous_client.session.session_key != before
    assert anonymous_client.get(SETTINGS).status_code == 200
    assert redirect_target(other.get(SETTINGS)).startswith(LOGIN)
    assert len(emails_to(user.email)) == 1


@pytest.mark.parametrize("typed, field", [
    ({"oldpassword": "wrong", "password1": NEW_PASSWORD}, "oldpassword"),
    ({"oldpassword": PASSWORD, "password1": "short"}, "password1"),
    ({"oldpassword": PASSWORD, "password1": "x" * 129}, "password1"),
])  # fmt: skip
def test_an_invalid_password_change_shows_an_error_at_the_field(anonymous_client, user, typed, field):
    response = sign_in(anonymous_client, user).post(CHANGE, typed)
    assert set(errors(response)) == {field}
    assert User.objects.get().check_password(PASSWORD)


def test_the_session_list_shows_this_browser_after_a_password_change(user):
    client = sign_in(new_client(), user)
    client.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})
    (session,) = client.get("/accounts/sessions/").context["sessions"]
    assert session.session_key == client.session.session_key


def test_a_reset_changes_the_password_without_signing_in(anonymous_client, user, different_site_url, emails_to):
    anonymous_client.post(RESET, {"email": user.email.upper()}, headers={"Host": "other.example"})
    path = link_in(emails_to(user.email)[0], site="https://2fa.example")
    page = anonymous_client.get(path)
    form_at = redirect_target(page) or path
    anonymous_client.post(form_at, {"password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert not is_signed_in(anonymous_client)
    assert not is_signed_in(follow(anonymous_client, anonymous_client.get(path)).client), "The link works twice."


def test_a_reset_keeps_2fa_on_and_clears_its_delay(user, authenticator, secret, emails_to):
    Authenticator.objects.update(failures=9, delayed_until=int(time.time()) + 3600)
    client = new_client()
    client.post(RESET, {"email": user.email})
    path = link_in(emails_to(user.email)[0])
    client.post(redirect_target(client.get(path)), {"password1": NEW_PASSWORD})
    give_password(client, user, password=NEW_PASSWORD)
    assert not is_signed_in(client)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(client)


def test_a_reset_does_not_reveal_whether_an_account_exists(anonymous_client, user):
    known, unknown = (
        anonymous_client.post(RESET, {"email": address}) for address in (user.email, "nobody@example.com")
    )
    assert (known.status_code, redirect_target(known)) == (unknown.status_code, redirect_target(unknown))


# --- The site's name ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ['Acme, "Inc." <b>{{ x }} &amp; 100 %(y)s', "二要素/認証🔐", "x" * 300])
def test_the_title_shows_any_site_name_unchanged(client, db, settings, name):
    settings.TWOFACTOR_ISSUER = name
    (title,) = re.findall(r"<title>(.*?)</title>", client.get(LOGIN).content.decode(), re.DOTALL)
    assert html.unescape(title).split(" · ")[-1] == name
