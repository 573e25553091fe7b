"""The confirm page: the second factor once more, for a view of another site."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import CONFIRM, SETTINGS
from twofactor.tests.helpers import age_second_factor, code_now, is_signed_in, new_client, sign_in, wrong_code
from twofactor.tests.responses import errors, message_levels, method_links, redirect_target


@pytest.fixture
def client_with_2fa(client_with_2fa):
    age_second_factor(client_with_2fa, 3600)
    return client_with_2fa


def confirm_url(**query):
    return f"{CONFIRM}?{urlencode(query)}"


@pytest.mark.parametrize("method", ["code", "backup"])
def test_a_code_updates_the_mark_of_the_session(client_with_2fa, second_factor, secret, backup_codes, method):
    before = client_with_2fa.session["twofactor"]
    typed = {"code": code_now(secret)} if method == "code" else {"backup_code": backup_codes[0]}
    assert redirect_target(client_with_2fa.post(confirm_url(next="/x/"), typed)) == "/x/"
    after = client_with_2fa.session["twofactor"]
    assert (after["version"], after["method"]) == (second_factor.version, method)
    assert after["at"] >= before["at"] + 3600


def test_a_refused_code_does_not_change_the_session(client_with_2fa, secret):
    before = (client_with_2fa.session["twofactor"], client_with_2fa.session.session_key)
    assert errors(client_with_2fa.post(CONFIRM, {"code": wrong_code(secret)})) == {"code": ["wrong"]}
    assert (client_with_2fa.session["twofactor"], client_with_2fa.session.session_key) == before


def test_this_session_gets_a_new_key_and_other_sessions_stay(client_with_2fa, user, secret):
    other = sign_in(new_client(), user, code=code_now(secret))
    AuthenticatorApp.objects.update(last_time_step=-1)
    before = client_with_2fa.session.session_key
    client_with_2fa.post(CONFIRM, {"code": code_now(secret)})
    assert is_signed_in(client_with_2fa)
    assert is_signed_in(other)
    assert not Session.objects.filter(session_key=before).exists()
    listed = {session.session_key for session in UserSession.objects.filter(user=user)}
    assert listed == {client_with_2fa.session.session_key, other.session.session_key}


def test_a_confirmation_less_than_a_minute_old_is_not_repeated(client_with_2fa, secret):
    client_with_2fa.post(CONFIRM, {"code": code_now(secret)})
    assert redirect_target(client_with_2fa.get(confirm_url(next=SETTINGS))) == SETTINGS
    assert redirect_target(client_with_2fa.post(confirm_url(next=SETTINGS), {"code": wrong_code(secret)})) == SETTINGS
    assert SecondFactor.objects.get().failures == 0
    age_second_factor(client_with_2fa, 61)
    assert client_with_2fa.get(CONFIRM).status_code == 200


@pytest.mark.parametrize("target", [
    "", "https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)", "http://[",
    "\x08//evil.example", f"{CONFIRM}?next=/x/", f"http://testserver{CONFIRM}",
])  # fmt: skip
def test_it_does_not_redirect_to_another_host_or_to_itself(client_with_2fa, secret, target):
    assert redirect_target(client_with_2fa.post(confirm_url(next=target), {"code": code_now(secret)})) == "/"


@pytest.mark.parametrize("target", ["/x/?a=b&c=d", "http://testserver/x/?page=2"])
def test_it_redirects_to_next(client_with_2fa, secret, target):
    assert redirect_target(client_with_2fa.post(confirm_url(next=target), {"code": code_now(secret)})) == target


def test_the_toggle_and_the_form_keep_the_query(client_with_2fa):
    query = {"next": ["/x/?a=b&c=d"], "unsent": ["1"]}
    for method, other in (("code", "backup"), ("backup", "code")):
        page = client_with_2fa.get(confirm_url(next="/x/?a=b&c=d", unsent=1, method=method))
        form, toggle = urlsplit(page.context["url"]), urlsplit(method_links(page)[-1])
        assert (form.path, parse_qs(form.query)) == (CONFIRM, query)
        assert (toggle.path, parse_qs(toggle.query)) == (CONFIRM, query | {"method": [other]})


def test_the_page_and_the_message_after_it_say_that_the_form_was_not_kept(client_with_2fa, secret):
    assert b"wasn't saved" not in client_with_2fa.get(CONFIRM).content
    assert b"wasn't saved" in client_with_2fa.get(confirm_url(unsent=1)).content
    assert b"wasn't saved" in client_with_2fa.post(confirm_url(unsent=1), {"code": wrong_code(secret)}).content
    client_with_2fa.post(confirm_url(unsent=1), {"code": code_now(secret)})
    assert message_levels(client_with_2fa.get(SETTINGS)) == ["info"]
