"""Trusted browsers: a cookie that replaces the code until it expires or 2FA changes."""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.utils import timezone

from twofactor import trust
from twofactor.models import AuthenticatorApp, SecondFactor, TrustedBrowser
from twofactor.tests.constants import DISABLE, HTMX, LOGOUT, PASSWORD, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, wrong_code
from twofactor.tests.hosts.pages import REPORT
from twofactor.tests.responses import inputs, is_full_page, redirect_target
from twofactor.tests.rows import event_kinds

COOKIE = "trusted"
FORGET_ALL = "/accounts/2fa/trusted-browsers/forget/"


@pytest.fixture
def trust_enabled(settings):
    settings.TWOFACTOR_TRUST_DAYS = 30


def trust_this_browser(browser, user):
    """Sign in with a code and the checkbox, and sign out."""
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(user.second_factor.app.secret), "trust": "on"})
    assert is_signed_in(browser)
    browser.post(LOGOUT)
    AuthenticatorApp.objects.update(last_time_step=-1)


@pytest.fixture
def trusted_client(trust_enabled, user, second_factor):
    trust_this_browser(browser := new_client(), user)
    return browser


def requires_code(browser, user):
    give_password(browser, user)
    return not is_signed_in(browser)


def change_password(user, _):
    user.set_password(PASSWORD)
    user.save()


# --- Trusting -------------------------------------------------------------------------------------


def test_if_off_there_is_no_checkbox_and_a_forged_one_is_ignored(pending_client, secret):
    assert "trust" not in inputs(pending_client.get(VERIFY_LOGIN))
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    assert not TrustedBrowser.objects.exists()
    assert COOKIE not in pending_client.cookies


@pytest.mark.parametrize("code, typed", [(code_now, {}), (wrong_code, {"trust": "on"})])
def test_only_the_checkbox_with_a_correct_code_trusts_a_browser(trust_enabled, pending_client, secret, code, typed):
    box = inputs(pending_client.get(VERIFY_LOGIN))["trust"]
    assert (box["type"], "checked" in box) == ("checkbox", False)
    pending_client.post(VERIFY_LOGIN, {"code": code(secret), **typed})
    assert not TrustedBrowser.objects.exists()
    assert COOKIE not in pending_client.cookies


def test_trusting_stores_a_digest_and_notifies_the_owner(trust_enabled, pending_client, user, secret, emails_to):
    agent = "curl/8.0\0" + "x" * 300  # PostgreSQL refuses a NUL and a long value
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"}, headers={"User-Agent": agent})
    row = TrustedBrowser.objects.get()
    cookie = pending_client.cookies[COOKIE]
    assert len(cookie.value) >= 43  # 256 bits
    assert cookie.value not in str(TrustedBrowser.objects.values().get())
    flags = [cookie[name] for name in ("httponly", "samesite", "path", "max-age")]
    assert flags == [True, "Lax", "/", 30 * 24 * 60 * 60]
    assert (row.user, row.user_agent) == (user, "curl/8.0" + "x" * 191)
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    assert event_kinds() == ["browser_trusted"]
    assert len(emails_to(user.email)) == 1


def test_with_https_the_cookie_has_the_host_prefix(trust_enabled, settings, pending_client, secret):
    settings.SESSION_COOKIE_SECURE = True
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    cookie = pending_client.cookies["__Host-trusted"]
    assert (cookie["secure"], cookie["domain"]) == (True, "")


# --- Signing in with a trusted browser ------------------------------------------------------------


def test_a_trusted_browser_signs_in_with_the_password_alone(trusted_client, user):
    before = TrustedBrowser.objects.get().last_used_at
    give_password(trusted_client, user, password="wrong")
    assert not is_signed_in(trusted_client)
    assert redirect_target(give_password(trusted_client, user)) == "/"
    assert trusted_client.get(SETTINGS).status_code == 200
    assert TrustedBrowser.objects.get().last_used_at > before


def test_a_trusted_browser_is_not_a_step_up(trusted_client, user):
    give_password(trusted_client, user)
    assert trusted_client.post(DISABLE, {"password": PASSWORD}).status_code == 422
    assert redirect_target(trusted_client.get(REPORT)).startswith("/accounts/2fa/confirm/")


def test_another_user_of_a_trusted_browser_needs_a_code(trusted_client, user, bob):
    assert requires_code(trusted_client, bob)
    assert requires_code(new_client(), user)


@pytest.mark.parametrize("value", ["", "\0", "é", "x" * 4000])
def test_a_forged_cookie_is_ignored(trusted_client, user, value):
    trusted_client.cookies[COOKIE] = value
    assert requires_code(trusted_client, user)


def turn_off_and_on(user, _):
    SecondFactor.objects.for_user(user).turn_off()
    AuthenticatorApp.objects.activate(user, secret="B" * 32)


ENDINGS = {
    "it expires": lambda user, _: TrustedBrowser.objects.update(expires_at=timezone.now()),
    "it is forgotten": lambda user, _: TrustedBrowser.objects.all().delete(),
    "the password changes": change_password,
    "new backup codes are made": lambda user, _: SecondFactor.objects.for_user(user).regenerate_backup_codes(),
    "2FA moves to a new phone": lambda user, _: AuthenticatorApp.objects.activate(user, secret="B" * 32),
    "2FA is turned off and on": turn_off_and_on,
    "trusted browsers are turned off": lambda _, settings: setattr(settings, "TWOFACTOR_TRUST_DAYS", 0),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_code_is_required_again_when(trusted_client, user, settings, ending):
    ENDINGS[ending](user, settings)
    user.refresh_from_db()
    assert requires_code(trusted_client, user)


# --- Several users of one browser -----------------------------------------------------------------


def test_two_users_can_trust_the_same_browser(trusted_client, user, bob):
    trust_this_browser(trusted_client, bob)
    for each_user in (user, bob):
        assert not requires_code(trusted_client, each_user)
        assert len(trusted_client.get(SETTINGS).context["browsers"]) == 1
        trusted_client.post(LOGOUT)


def test_trusting_again_replaces_only_the_row_of_this_browser(trusted_client, user, bob):
    trust_this_browser(trusted_client, bob)
    trust_this_browser(new_client(), user)
    before, elsewhere = user.trusted_browsers.order_by("pk")
    SecondFactor.objects.for_user(user).regenerate_backup_codes()
    user.refresh_from_db()
    trust_this_browser(trusted_client, user)
    assert before not in user.trusted_browsers.all()
    assert elsewhere in user.trusted_browsers.all()
    assert user.trusted_browsers.count() == 2
    assert not requires_code(trusted_client, bob)


@pytest.fixture
def trust_with_cookie(trust_enabled, rf):
    def trust_with_cookie(cookie, user):
        request = rf.get("/")
        response = HttpResponse()
        request.COOKIES[COOKIE] = cookie
        trust.trust(request, response, user, SecondFactor(user=user, version="1"))
        return response.cookies[COOKIE].value

    return trust_with_cookie


def test_a_browser_is_trusted_for_the_last_ten_users(trust_with_cookie, make_user):
    cookie = ""
    users = [make_user(f"{number}@example.com") for number in range(12)]
    for each_user in users:
        cookie = trust_with_cookie(cookie, each_user)
    assert len(cookie) < 500
    assert set(TrustedBrowser.objects.values_list("user", flat=True)) == {each_user.pk for each_user in users[2:]}


def test_a_new_cookie_drops_invalid_tokens(trust_with_cookie, user, bob):
    cookie = trust_with_cookie("", user)
    TrustedBrowser.objects.update(expires_at=timezone.now())
    assert len(trust_with_cookie(f"forged.{cookie}.", bob)) == len(cookie)
    assert TrustedBrowser.objects.get().user == bob


def test_a_forgotten_user_leaves_the_cookie_and_the_last_one_deletes_it(trust_with_cookie, user, bob, rf):
    own = trust_with_cookie("", user)
    rf.cookies[COOKIE] = trust_with_cookie(own, bob)
    for forgotten, left in ((bob, own), (user, "")):
        trust.forget(rf.get("/"), response := HttpResponse(), forgotten)
        assert response.cookies[COOKIE].value == left
        rf.cookies[COOKIE] = left
    trust.forget(rf.get("/"), response := HttpResponse(), user)
    assert COOKIE not in response.cookies


# --- List and removal -----------------------------------------------------------------------------


def forget_url(pk):
    return f"/accounts/2fa/trusted-browsers/{pk}/forget/"


def test_the_settings_list_trusted_browsers_that_have_not_expired(trusted_client, client_with_2fa):
    page = client_with_2fa.get(SETTINGS)
    assert forget_url(page.context["browsers"][0].pk) in page.content.decode()
    TrustedBrowser.objects.update(expires_at=timezone.now())
    assert not client_with_2fa.get(SETTINGS).context["browsers"]


def test_one_browser_or_all_can_be_forgotten(trusted_client, client_with_2fa, user):
    trust_this_browser(new_client(), user)
    url = forget_url(TrustedBrowser.objects.earliest("pk").pk)
    response = client_with_2fa.post(url, headers=HTMX)
    assert (response.status_code, is_full_page(response), response["HX-Replace-Url"]) == (200, False, SETTINGS)
    assert "Removed. Your password alone no longer signs you in with that browser." in response.content.decode()
    assert TrustedBrowser.objects.count() == 1
    assert requires_code(trusted_client, user)
    assert client_with_2fa.post(url).status_code == 404
    assert redirect_target(client_with_2fa.post(FORGET_ALL)) == SETTINGS
    assert not TrustedBrowser.objects.exists()


def test_a_user_cannot_forget_the_browser_of_another_user(trusted_client, signed_out_client, make_user):
    signed_out_client.force_login(make_user("bob@example.com"))
    assert signed_out_client.post(forget_url(TrustedBrowser.objects.get().pk)).status_code == 404
    signed_out_client.post(FORGET_ALL)
    assert TrustedBrowser.objects.exists()
