"""The page that deletes the account."""

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from twofactor.models import AuthenticatorApp
from twofactor.tests.constants import HTMX, LOGIN, PASSWORD, SETTINGS, SETUP, VERIFY_LOGIN
from twofactor.tests.helpers import (
    code_now,
    give_password,
    is_signed_in,
    new_client,
    proof,
    sign_in,
    sign_in_with_2fa,
    wrong_code,
)
from twofactor.tests.responses import errors, inputs, is_full_page, messages_on, redirect_target

DELETE = "/accounts/delete/"
DELETED = "Your account was deleted. We've emailed you about it."


@pytest.fixture
def client(user):
    return sign_in_with_2fa(user)


def test_password_and_code_delete_the_account_and_sign_out_everywhere(client, user, secret):
    other = sign_in(new_client(), user, code=code_now(secret, steps_ahead=1))
    AuthenticatorApp.objects.update(last_time_step=-1)
    response = client.post(DELETE, proof(secret))
    assert redirect_target(response) == "/"
    assert response["Clear-Site-Data"] == '"storage"'
    assert not User.objects.exists()
    assert not is_signed_in(client)
    assert messages_on(client.get("/")) == [DELETED]
    assert redirect_target(other.get(SETTINGS)).startswith(LOGIN)


def test_htmx_gets_the_form_and_leaves_the_page_afterwards(client, secret):
    page = client.get(DELETE, headers=HTMX)
    assert not is_full_page(page)
    response = client.post(DELETE, proof(secret), headers=HTMX)
    assert (response.status_code, response["HX-Redirect"]) == (204, "/")


def test_password_and_code_are_both_required(client, secret):
    for typed, expected in (
        ({}, {"password": ["required"], "code": ["required"]}),
        ({"password": PASSWORD, "code": wrong_code(secret)}, {"code": ["wrong"]}),
        ({"password": "wrong", "code": code_now(secret)}, {"password": ["wrong_password"]}),
    ):
        response = client.post(DELETE, typed)
        assert errors(response) == expected
        assert "Clear-Site-Data" not in response
    assert User.objects.exists()
    assert is_signed_in(client)


def test_without_2fa_the_password_alone_is_required(user):
    client = sign_in(new_client(), user)
    assert set(inputs(client.get(DELETE))) >= {"password"}
    assert errors(client.post(DELETE)) == {"password": ["required"]}
    client.post(DELETE, {"password": PASSWORD})
    assert not User.objects.exists()


def test_without_a_password_and_2fa_a_recent_sign_in_is_required(user):
    user.set_unusable_password()
    user.save()
    client = new_client()
    client.force_login(user)
    for method in (client.get, client.post):
        assert redirect_target(method(DELETE)) == "/accounts/logout/"
    assert User.objects.exists()


def test_a_change_of_2fa_in_another_tab_keeps_the_account(client, secret):
    AuthenticatorApp.objects.activate(User.objects.get(), secret="B" * 32)
    response = client.post(DELETE, proof(secret))
    assert redirect_target(response).startswith(LOGIN)
    assert User.objects.exists()


def test_the_last_superuser_reads_why_there_is_no_form(make_user, secret):
    client = sign_in_with_2fa(make_user(is_staff=True, is_superuser=True))
    page = client.get(DELETE)
    assert "the only superuser" in page.content.decode()
    assert "password" not in inputs(page)
    assert client.post(DELETE, proof(secret)).status_code == 403
    assert User.objects.exists()
    assert AuthenticatorApp.objects.get().last_time_step == -1, "The code was used up."


def test_the_cookies_of_this_browser_forget_the_account(user, second_factor, secret, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    AuthenticatorApp.objects.update(last_time_step=-1)
    browser.post(DELETE, proof(secret))
    assert [browser.cookies[name].value for name in ("trusted", "known")] == ["", ""]


def test_the_page_says_what_goes_and_where_the_last_email_goes(client, user):
    EmailAddress.objects.create(user=user, email="stranger@example.com", verified=False)
    html = client.get(DELETE).content.decode()
    assert user.email in html
    assert "stranger@example.com" not in html


def test_the_account_page_links_to_it_and_staff_see_a_link_to_the_admin(client, make_user):
    html = client.get("/").content.decode()
    assert f'href="{DELETE}"' in html
    assert 'href="/admin/"' not in html
    staff = sign_in_with_2fa(make_user("staff@example.com", is_staff=True))
    assert 'href="/admin/"' in staff.get("/").content.decode()


def test_a_user_who_must_set_2fa_up_first_is_redirected_to_it(user, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    assert redirect_target(sign_in(new_client(), user).get(DELETE)).startswith(SETUP)
