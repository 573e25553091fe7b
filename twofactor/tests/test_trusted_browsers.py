"""Trusted browsers: off by default; where they are on, a cookie that stands for a code until something changes."""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.utils import timezone

from conftest import PASSWORD
from twofactor import trust
from twofactor.models import Authenticator, SecurityEvent, TrustedBrowser
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    VERIFY_LOGIN,
    code_now,
    give_password,
    inputs,
    is_signed_in,
    new_client,
    redirect_target,
    wrong_code,
)

COOKIE = "trusted"


@pytest.fixture
def trust_on(settings):
    settings.TWOFACTOR_TRUST_DAYS = 30


@pytest.fixture
def trusted(trust_on, user, authenticator, secret):
    """A browser that was trusted and has signed out since."""
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    browser.post("/accounts/logout/")
    Authenticator.objects.update(last_time_step=-1)
    return browser


def asks_for_a_code(browser, user):
    give_password(browser, user)
    return not is_signed_in(browser)


# --- Trusting -------------------------------------------------------------------------------------


def test_where_it_is_off_there_is_no_box_and_a_forged_tick_does_nothing(signed_out_client, user, authenticator, secret):
    give_password(signed_out_client, user)
    assert "trust" not in inputs(signed_out_client.get(VERIFY_LOGIN))
    signed_out_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    assert not TrustedBrowser.objects.exists()
    assert COOKIE not in signed_out_client.cookies


@pytest.mark.parametrize("method", ["code", "backup"])
def test_where_it_is_on_there_is_a_box_and_it_is_not_ticked(signed_out_client, trust_on, user, authenticator, method):
    give_password(signed_out_client, user)
    box = inputs(signed_out_client.get(VERIFY_LOGIN, {"method": method}))["trust"]
    assert box["type"] == "checkbox"
    assert "checked" not in box


@pytest.mark.parametrize("code, trust", [(code_now, {}), (wrong_code, {"trust": "on"})])
def test_without_tick_and_right_code_no_browser_is_trusted(
    signed_out_client, trust_on, user, authenticator, secret, code, trust
):
    give_password(signed_out_client, user)
    signed_out_client.post(VERIFY_LOGIN, {"code": code(secret), **trust})
    assert not TrustedBrowser.objects.exists()
    assert COOKIE not in signed_out_client.cookies


def test_the_tick_keeps_a_digest_sets_a_cookie_and_tells_the_owner(
    signed_out_client, trust_on, user, authenticator, secret, mails_to
):
    give_password(signed_out_client, user)
    signed_out_client.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"}, headers={"User-Agent": "curl/8.0"})
    row, cookie = TrustedBrowser.objects.get(), signed_out_client.cookies[COOKIE]
    assert len(cookie.value) >= 43  # 256 bits
    assert cookie.value not in str(TrustedBrowser.objects.values().get())
    assert row.digest == TrustedBrowser.digest_of(cookie.value)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == 30 * 24 * 60 * 60
    assert (row.user, row.user_agent) == (user, "curl/8.0")
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    assert [event.kind for event in SecurityEvent.objects.all()] == ["browser_trusted"]
    assert len(mails_to(user.email)) == 1


def test_with_https_the_cookie_is_bound_to_this_host(trust_on, settings, user, authenticator, secret):
    settings.SESSION_COOKIE_SECURE = True
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    cookie = browser.cookies["__Host-trusted"]
    assert cookie["secure"]
    assert not cookie["domain"]


# --- Being trusted --------------------------------------------------------------------------------


def test_a_trusted_browser_signs_in_with_the_password_alone(trusted, user):
    before = TrustedBrowser.objects.get().last_used_at
    assert redirect_target(give_password(trusted, user)) == "/"
    assert is_signed_in(trusted)
    assert trusted.get(SETTINGS).status_code == 200
    assert TrustedBrowser.objects.get().last_used_at > before


def test_the_password_is_asked_for_all_the_same(trusted, user):
    give_password(trusted, user, password="wrong")
    assert not is_signed_in(trusted)


def test_another_browser_is_asked_for_a_code(trusted, user):
    assert asks_for_a_code(new_client(), user)


def test_another_user_is_asked_for_a_code_in_a_trusted_browser(trusted, make_user):
    bob = make_user("bob@example.com")
    Authenticator.objects.activate(bob, secret="B" * 32)
    assert asks_for_a_code(trusted, bob)


@pytest.mark.parametrize("value", ["", "x", "\0", "é", "'; DROP TABLE", "x" * 4000])
def test_a_forged_cookie_stands_for_nothing(trusted, user, value):
    trusted.cookies[COOKIE] = value
    assert asks_for_a_code(trusted, user)


def change_password(user):
    user.set_password(PASSWORD)
    user.save()


ENDINGS = {
    "its days are over": lambda user: TrustedBrowser.objects.update(expires_at=timezone.now()),
    "it is forgotten": lambda user: TrustedBrowser.objects.all().delete(),
    "the password changes": change_password,
    "new backup codes are made": lambda user: Authenticator.objects.for_user(user).regenerate_backup_codes(),
    "2FA moves to a new phone": lambda user: Authenticator.objects.activate(user, secret="B" * 32),
    "2FA goes off and on": lambda user: (
        Authenticator.objects.for_user(user).turn_off(),
        Authenticator.objects.activate(user, secret="B" * 32),
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_code_is_asked_for_again_when(trusted, user, ending):
    ENDINGS[ending](user)
    user.refresh_from_db()
    assert asks_for_a_code(trusted, user)


def test_a_code_is_asked_for_again_when_the_site_turns_it_off(trusted, user, settings):
    settings.TWOFACTOR_TRUST_DAYS = 0
    assert asks_for_a_code(trusted, user)


def test_a_trusted_browser_gives_no_proof_for_changes_of_2fa(trusted, user):
    give_password(trusted, user)
    assert trusted.post("/accounts/2fa/disable/", {"password": PASSWORD}).status_code == 422
    assert Authenticator.objects.exists()


# --- Several people in one browser ----------------------------------------------------------------


@pytest.fixture
def bob(make_user):
    bob = make_user("bob@example.com")
    Authenticator.objects.activate(bob, secret="B" * 32)
    return bob


def trust_this_browser(browser, user):
    """Sign in with a code, tick the box, and sign out."""
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(user.authenticator.secret), "trust": "on"})
    assert is_signed_in(browser)
    browser.post("/accounts/logout/")
    Authenticator.objects.update(last_time_step=-1)


def test_two_people_in_one_browser_each_keep_their_trust(trusted, user, bob):
    trust_this_browser(trusted, bob)
    for person in (user, bob):
        assert not asks_for_a_code(trusted, person)
        assert len(trusted.get(SETTINGS).context["browsers"]) == 1
        trusted.post("/accounts/logout/")


def test_trusting_again_replaces_the_row_of_this_browser_and_no_other(trusted, user, bob):
    trust_this_browser(trusted, bob)
    trust_this_browser(new_client(), user)
    elsewhere = user.trusted_browsers.latest("pk")
    before = user.trusted_browsers.earliest("pk")
    Authenticator.objects.for_user(user).regenerate_backup_codes()
    user.refresh_from_db()
    trust_this_browser(trusted, user)
    assert before not in user.trusted_browsers.all()
    assert elsewhere in user.trusted_browsers.all()
    assert user.trusted_browsers.count() == 2
    assert not asks_for_a_code(trusted, bob)


@pytest.fixture
def trust_anew(trust_on, rf):
    """Trust a browser that has this cookie for a user; return the cookie that it has then."""

    def trust_anew(cookie, user):
        request, response = rf.get("/"), HttpResponse()
        request.COOKIES[COOKIE] = cookie
        trust.trust(request, response, user, Authenticator(user=user, version="1"))
        return response.cookies[COOKIE].value

    return trust_anew


def test_a_browser_keeps_the_trust_of_the_last_ten_people(trust_anew, make_user):
    cookie, people = "", [make_user(f"{number}@example.com") for number in range(12)]
    for person in people:
        cookie = trust_anew(cookie, person)
    assert len(cookie) < 500
    assert set(TrustedBrowser.objects.values_list("user", flat=True)) == {person.pk for person in people[2:]}


def test_a_cookie_keeps_no_token_that_no_longer_works(trust_anew, user, bob):
    cookie = trust_anew("", user)
    TrustedBrowser.objects.update(expires_at=timezone.now())
    assert len(trust_anew(f"forged.{cookie}.", bob)) == len(cookie)
    assert TrustedBrowser.objects.get().user == bob


# --- Listed and forgotten -------------------------------------------------------------------------


def forget(pk):
    return f"/accounts/2fa/trusted-browsers/{pk}/forget/"


def test_the_settings_list_those_that_live(trusted, client_with_2fa):
    listed = client_with_2fa.get(SETTINGS).context["browsers"]
    assert list(listed) == list(TrustedBrowser.objects.all())
    assert forget(listed[0].pk) in client_with_2fa.get(SETTINGS).content.decode()
    TrustedBrowser.objects.update(expires_at=timezone.now())
    assert not client_with_2fa.get(SETTINGS).context["browsers"]


def test_one_is_forgotten(trusted, client_with_2fa, user):
    response = client_with_2fa.post(forget(TrustedBrowser.objects.get().pk))
    assert redirect_target(response) == SETTINGS or response.status_code == 200
    assert asks_for_a_code(trusted, user)


def test_all_are_forgotten(trusted, client_with_2fa, user):
    client_with_2fa.post("/accounts/2fa/trusted-browsers/forget/")
    assert not TrustedBrowser.objects.exists()
    assert asks_for_a_code(trusted, user)


def test_nobody_forgets_somebody_elses(trusted, signed_out_client, make_user):
    bob = make_user("bob@example.com")
    signed_out_client.force_login(bob)
    assert signed_out_client.post(forget(TrustedBrowser.objects.get().pk)).status_code == 404
    signed_out_client.post("/accounts/2fa/trusted-browsers/forget/")
    assert TrustedBrowser.objects.exists()


def test_a_get_forgets_nothing_and_neither_does_a_stranger(trusted, client_with_2fa):
    pk = TrustedBrowser.objects.get().pk
    assert client_with_2fa.get(forget(pk)).status_code == 405
    assert redirect_target(new_client().post(forget(pk))).startswith(LOGIN)
    assert TrustedBrowser.objects.exists()
