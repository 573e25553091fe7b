"""allauth's pages as this site configures them: sign-up, password change and password reset."""

import html
import re
import time

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from twofactor.models import SecondFactor
from twofactor.tests.constants import LOGIN, PASSWORD, REAUTHENTICATE, SETTINGS, SETUP, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in
from twofactor.tests.responses import inputs, redirect_target

SIGNUP, CHANGE, RESET = "/accounts/signup/", "/accounts/password/change/", "/accounts/password/reset/"
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEWCOMER = {"full_name": "Bob New", "email": "Bob@Example.com", "password1": PASSWORD}


def link_in(message, *, site="http://testserver"):
    link = re.findall(r"https?://\S+", message.body)[0]
    assert link.startswith(f"{site}/")
    return link.removeprefix(site)


def test_a_new_user_signs_up_confirms_the_address_and_signs_in(client, db, emails_to):
    page = client.get(SIGNUP)
    assert set(inputs(page)) == {"csrfmiddlewaretoken", "full_name", "email", "password1"}
    assert b"placeholder" not in page.content
    assert page.context["form"].fields["email"].label == "Email"
    client.post(SIGNUP, NEWCOMER)
    user = User.objects.get()
    assert (user.email, user.full_name) == ("bob@example.com", "Bob New")
    give_password(client, user)
    assert not is_signed_in(client), "An unconfirmed address can sign in."
    path = link_in(emails_to("bob@example.com")[0])
    assert client.get(path).status_code == 200
    assert not EmailAddress.objects.get().verified, "A GET confirms the address, and mail scanners send GETs."
    client.post(path)
    assert EmailAddress.objects.get().verified
    sign_in(new_client(), user)


@pytest.mark.parametrize("path, field", [
    (LOGIN, "login"), (SIGNUP, "full_name"), (RESET, "email"), (CHANGE, "oldpassword"), (SETUP, "password"),
    ("/accounts/name/", "full_name"), ("/accounts/delete/", "password"), ("/accounts/email/", None),
])  # fmt: skip
def test_the_first_field_of_a_form_has_the_focus_unless_the_page_is_about_something_else(client, user, path, field):
    if path not in {LOGIN, SIGNUP, RESET}:
        sign_in(client, user)
        client.post(REAUTHENTICATE, {"password": PASSWORD})
    fields = inputs(client.get(path))
    assert [name for name, attributes in fields.items() if "autofocus" in attributes] == [field] * bool(field)


def test_links_in_emails_use_site_url_and_not_the_host_header(client, user, settings, emails_to):
    settings.SITE_URL = "https://2fa.example"
    settings.ALLOWED_HOSTS = ["other.example"]
    client.post(SIGNUP, NEWCOMER, headers={"Host": "other.example"})
    client.post(RESET, {"email": user.email}, headers={"Host": "other.example"})
    for address, path in (("bob@example.com", "/accounts/confirm-email/"), (user.email, f"{RESET}key/")):
        assert link_in(emails_to(address)[0], site="https://2fa.example").startswith(path)


def test_a_password_change_ends_other_sessions_and_notifies_the_owner(client, user, emails_to):
    other = sign_in(new_client(), user)
    before = sign_in(client, user).session.session_key
    client.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert client.session.session_key != before
    assert redirect_target(other.get(SETTINGS)).startswith(LOGIN)
    (email,) = [each for each in emails_to(user.email) if "new browser" not in each.subject]
    assert "password" in email.subject
    (session,) = client.get("/accounts/sessions/").context["sessions"]
    assert session.session_key == client.session.session_key


@pytest.mark.parametrize("next_url, target", [("/accounts/2fa/not-me/", None), ("//evil.example/", SETTINGS)])
def test_cancel_of_a_password_change_leads_back_on_this_host_only(client, user, next_url, target):
    page = sign_in(client, user).get(CHANGE, {"next": next_url}).content.decode()
    assert f'<a class="tf-button tf-plain" href="{target or next_url}">Cancel</a>' in page


def test_wrong_passwords_of_the_change_count_with_those_of_the_apps_forms(client, user):
    sign_in(client, user)
    for _ in range(9):
        client.post(CHANGE, {"oldpassword": "wrong", "password1": NEW_PASSWORD})
    assert redirect_target(client.post(SETUP, {"password": "wrong"})).startswith(LOGIN)


def test_a_reset_changes_the_password_without_signing_in(client, user, emails_to):
    browser = sign_in(new_client(), user)
    client.post(RESET, {"email": user.email.upper()})
    link = link_in(emails_to(user.email)[0])
    client.post(redirect_target(client.get(link)), {"password1": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert not is_signed_in(client)
    assert not is_signed_in(browser), "A reset leaves a session."
    assert client.get(link).status_code == 200, "The link works twice."


def test_an_inactive_account_gets_no_reset_link(client, make_user, emails_to):
    client.post(RESET, {"email": make_user(is_active=False).email})
    assert "there's no account with this email address" in emails_to("ada@example.com")[0].body


def test_a_reset_keeps_2fa_on_and_clears_its_delay(client, user, second_factor, secret, emails_to):
    SecondFactor.objects.update(failures=9, delayed_until=int(time.time()) + 3600)
    client.post(RESET, {"email": user.email})
    client.post(redirect_target(client.get(link_in(emails_to(user.email)[0]))), {"password1": NEW_PASSWORD})
    give_password(client, user, password=NEW_PASSWORD)
    assert not is_signed_in(client)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(client)


@pytest.mark.parametrize("name", ['Acme, "Inc." <b>{{ x }} &amp; 100 %(y)s', "二要素/認証🔐"])
def test_the_title_shows_any_site_name_unchanged(client, db, settings, name):
    settings.TWOFACTOR_ISSUER = name
    (title,) = re.findall(r"<title>(.*?)</title>", client.get(LOGIN).content.decode(), re.DOTALL)
    assert html.unescape(title).split(" · ")[-1] == name
