"""The confirm page: the second factor once more, for a view of another site."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    CONFIRM,
    LOGIN,
    MALFORMED_CODES,
    PASSWORD,
    SETTINGS,
    SETUP,
    UNKNOWN_BACKUP_CODE,
    VERIFY_LOGIN,
    age_second_factor,
    code_now,
    errors,
    inputs,
    is_signed_in,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
    tries_left,
    wrong_code,
)

HOUR = 3600


@pytest.fixture
def client_with_2fa(client_with_2fa):
    """Signed in with a code an hour ago."""
    age_second_factor(client_with_2fa, HOUR)
    return client_with_2fa


def confirm_url(**query):
    return f"{CONFIRM}?{urlencode(query)}"


def mark(browser):
    return browser.session["twofactor"]


# --- What is accepted -----------------------------------------------------------------------------


def test_the_form_has_a_code_and_no_password(client_with_2fa):
    response = client_with_2fa.get(CONFIRM)
    assert response.status_code == 200
    assert {"code"} == inputs(response).keys() - {"csrfmiddlewaretoken", "language"}
    assert inputs(response)["code"]["autocomplete"] == "one-time-code"


def test_a_code_updates_the_mark_of_the_session(client_with_2fa, authenticator, secret):
    before = mark(client_with_2fa)
    response = client_with_2fa.post(confirm_url(next="/accounts/email/"), {"code": code_now(secret)})
    assert redirect_target(response) == "/accounts/email/"
    assert mark(client_with_2fa)["at"] >= before["at"] + HOUR
    assert mark(client_with_2fa) == {
        "version": authenticator.version,
        "method": "code",
        "at": mark(client_with_2fa)["at"],
    }


def test_a_backup_code_updates_the_mark_and_is_used(client_with_2fa, backup_codes, user, emails_to):
    before = mark(client_with_2fa)
    assert redirect_target(client_with_2fa.post(confirm_url(next="/"), {"backup_code": backup_codes[0]})) == "/"
    assert mark(client_with_2fa)["method"] == "backup"
    assert mark(client_with_2fa)["at"] >= before["at"] + HOUR
    assert Authenticator.objects.get().codes_left == 9
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]
    age_second_factor(client_with_2fa, HOUR)
    assert errors(client_with_2fa.post(CONFIRM, {"backup_code": backup_codes[0]})) == {
        "backup_code": ["wrong_backup_code"]
    }


@pytest.mark.parametrize("typed", [{}, {"code": ""}, {"password": PASSWORD}, {"backup_code": UNKNOWN_BACKUP_CODE}, *[
    {"code": code} for code in MALFORMED_CODES[:5]
]], ids=repr)  # fmt: skip
def test_other_input_is_refused_and_does_not_change_the_session(client_with_2fa, typed):
    before = mark(client_with_2fa)
    key = client_with_2fa.session.session_key
    assert client_with_2fa.post(CONFIRM, typed).status_code == 422
    assert (mark(client_with_2fa), client_with_2fa.session.session_key) == (before, key)
    assert Authenticator.objects.get().failures == 0


def test_a_used_code_is_refused(client_with_2fa, authenticator, secret):
    code = code_now(secret, steps_ahead=1)
    assert authenticator.accept(code)
    assert errors(client_with_2fa.post(CONFIRM, {"code": code})) == {"code": ["wrong_code"]}


def test_an_accepted_code_is_refused_at_sign_in(client_with_2fa, user, secret):
    code = code_now(secret)
    client_with_2fa.post(CONFIRM, {"code": code})
    other = new_client()
    other.post(LOGIN, {"login": user.email, "password": PASSWORD})
    assert errors(other.post(VERIFY_LOGIN, {"code": code})) == {"code": ["wrong_code"]}


# --- What changes ---------------------------------------------------------------------------------


def test_this_session_gets_a_new_key_and_other_sessions_stay(client_with_2fa, user, secret):
    other = sign_in(new_client(), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    before = client_with_2fa.session.session_key
    client_with_2fa.post(CONFIRM, {"code": code_now(secret)})
    after = client_with_2fa.session.session_key
    assert after != before
    assert is_signed_in(client_with_2fa)
    assert is_signed_in(other)
    assert not Session.objects.filter(session_key=before).exists()
    listed = {session.session_key for session in UserSession.objects.filter(user=user)}
    assert listed == {after, other.session.session_key}


def test_a_confirmation_less_than_a_minute_old_is_not_repeated(client_with_2fa, secret):
    client_with_2fa.post(CONFIRM, {"code": code_now(secret)})
    assert redirect_target(client_with_2fa.get(confirm_url(next=SETTINGS))) == SETTINGS
    assert redirect_target(client_with_2fa.post(confirm_url(next=SETTINGS), {"code": wrong_code(secret)})) == SETTINGS
    assert Authenticator.objects.get().failures == 0
    age_second_factor(client_with_2fa, 61)
    assert client_with_2fa.get(CONFIRM).status_code == 200


# --- Limits ---------------------------------------------------------------------------------------


def test_a_wrong_code_is_charged_to_account_and_source(client_with_2fa, secret, request_):
    assert errors(client_with_2fa.post(CONFIRM, {"code": wrong_code(secret)})) == {"code": ["wrong_code"]}
    assert Authenticator.objects.get().failures == 1
    request_.META["REMOTE_ADDR"] = "127.0.0.1"
    assert tries_left(request_) == 19


def test_during_the_delay_the_status_is_429(client_with_2fa, secret):
    Authenticator.objects.update(failures=5, delayed_until=2_000_000_000_000)
    response = client_with_2fa.post(CONFIRM, {"code": code_now(secret)})
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert Authenticator.objects.get().failures == 5
    assert is_signed_in(client_with_2fa)


def test_five_wrong_codes_end_the_session_and_notify_the_owner(client_with_2fa, user, secret, emails_to):
    for _ in range(4):
        assert client_with_2fa.post(CONFIRM, {"code": wrong_code(secret)}).status_code == 422
    response = client_with_2fa.post(CONFIRM, {"code": wrong_code(secret)})
    assert redirect_target(response) == LOGIN
    assert not is_signed_in(client_with_2fa)
    assert message_levels(client_with_2fa.get(LOGIN)) == ["error"]
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    (email,) = emails_to(user.email)
    assert "was signed in" in email.body
    assert "right password" not in email.body


# --- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [
    "", "https://evil.example/", "//evil.example/", "/\\evil.example/", "http:///evil.example/", "javascript:alert(1)",
    "http://[", "\x08//evil.example", CONFIRM, f"{CONFIRM}?next=/x/", f"http://testserver{CONFIRM}",
])  # fmt: skip
def test_it_does_not_redirect_to_another_host_or_to_itself(client_with_2fa, secret, target):
    assert redirect_target(client_with_2fa.post(confirm_url(next=target), {"code": code_now(secret)})) == "/"


@pytest.mark.parametrize("target", ["/x/?a=b&c=d", "http://testserver/x/?page=2", "home"])
def test_it_redirects_to_next(client_with_2fa, secret, target):
    assert redirect_target(client_with_2fa.post(confirm_url(next=target), {"code": code_now(secret)})) == target


def test_the_toggle_and_the_form_keep_the_query(client_with_2fa):
    query = {"next": ["/x/?a=b&c=d"], "unsent": ["1"]}
    for method, other in (("code", "backup"), ("backup", "code")):
        page = client_with_2fa.get(confirm_url(next="/x/?a=b&c=d", unsent=1, method=method))
        form, toggle = urlsplit(page.context["url"]), urlsplit(page.context["toggle_url"])
        assert (form.path, parse_qs(form.query)) == (CONFIRM, query)
        assert (toggle.path, parse_qs(toggle.query)) == (CONFIRM, query | {"method": [other]})


def test_the_page_and_the_message_after_it_say_that_the_form_was_not_kept(client_with_2fa, secret):
    assert b"not kept" not in client_with_2fa.get(CONFIRM).content
    assert b"not kept" in client_with_2fa.get(confirm_url(unsent=1)).content
    assert b"not kept" in client_with_2fa.post(confirm_url(unsent=1), {"code": wrong_code(secret)}).content
    client_with_2fa.post(confirm_url(unsent=1), {"code": code_now(secret)})
    assert message_levels(client_with_2fa.get(SETTINGS)) == ["info"]


# --- Access and methods ---------------------------------------------------------------------------


def test_without_2fa_it_redirects_to_setup(signed_in_client):
    assert redirect_target(signed_in_client.get(CONFIRM)) == SETUP


def test_a_signed_out_user_is_redirected_to_login(signed_out_client, db):
    assert redirect_target(signed_out_client.get(CONFIRM)).startswith(LOGIN)


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_methods_are_not_allowed(client_with_2fa, method):
    assert getattr(client_with_2fa, method)(CONFIRM).status_code == 405


def test_a_post_without_csrf_token_is_refused(user, authenticator, secret):
    browser = new_client(enforce_csrf_checks=True)
    browser.force_login(user)
    session = browser.session
    session["twofactor"] = {"version": authenticator.version, "method": "code", "at": 0}
    session.save()
    assert browser.post(CONFIRM, {"code": code_now(secret)}).status_code == 403
    assert mark(browser)["at"] == 0
