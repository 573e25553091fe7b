"""Sign-in, sign-out, and the list of sessions."""

import html

import pytest
from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.usersessions.models import UserSession

from twofactor import times
from twofactor.tests.constants import LOGIN, PASSWORD, REAUTHENTICATE, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import give_password, is_signed_in, new_client, sign_in
from twofactor.tests.responses import inputs, redirect_target

SIGNUP, RESET, SESSIONS = "/accounts/signup/", "/accounts/password/reset/", "/accounts/sessions/"
EVERYWHERE_ELSE = "You're signed out everywhere else."


@pytest.mark.parametrize("url, is_safe", [
    ("/accounts/email/", True), ("http://testserver/", True), ("http://other.example/", False),
    ("https://trusted.example/", False), ("//other.example/", False),
])  # fmt: skip
def test_redirects_lead_to_this_host_only(rf, settings, url, is_safe):
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    with context.request_context(rf.get("/")):
        assert get_adapter().is_safe_url(url) is is_safe


@pytest.mark.parametrize("htmx", [False, True])
def test_a_user_signs_in_and_out(user, htmx):
    client = sign_in(new_client(htmx=htmx), user)
    client.get("/accounts/logout/")
    assert is_signed_in(client), "A GET signs out."
    old = client.session.session_key
    assert redirect_target(client.post("/accounts/logout/")) == "/"
    assert redirect_target(client.get(SETTINGS)).startswith(LOGIN)
    assert not client.session.exists(old)


def test_sign_in_does_not_reveal_whether_an_account_exists(client, user):
    """The error is at the password, which has the focus. The response contains no password, also over Ajax."""
    page = client.get(LOGIN)
    assert "autofocus" in inputs(page)["login"]
    assert "account/password_reset_help_text.html" in [each.name for each in page.templates], "allauth's own words"
    responses = [
        client.post(LOGIN, {"login": login, "password": "wrong-wrong-wrong"}, headers=headers)
        for login in (user.email, "nobody@example.com")
        for headers in ({}, {"X-Requested-With": "XMLHttpRequest"})
    ]
    for response in responses:
        assert (response.status_code, response["Content-Type"]) == (422, "text/html; charset=utf-8")
        assert response.context["form"].errors == responses[0].context["form"].errors
        assert "wrong-wrong-wrong" not in response.content.decode()
        login, password = inputs(response)["login"], inputs(response)["password"]
        assert not {"autofocus", "aria-invalid"} & login.keys()
        assert {"autofocus", "aria-invalid"} <= password.keys()
        assert "id_password_error" in password["aria-describedby"]


def test_allauths_step_up_page_leads_to_the_sites_with_the_whole_query(client, user):
    query = "?next=%2Faccounts%2Femail%2F&method=backup&unsent=1"
    assert redirect_target(sign_in(client, user).get(f"/accounts/reauthenticate/{query}")) == REAUTHENTICATE + query
    typed = {"password": PASSWORD, "next": "//evil.example/"}
    assert redirect_target(client.post(f"{REAUTHENTICATE}?next=//evil.example/", typed)) == "/"


def test_the_code_page_has_no_link_to_sign_in_or_sign_up(client, user, second_factor):
    give_password(client, user)
    page = client.get(VERIFY_LOGIN).content.decode()
    assert f'href="{SIGNUP}' not in page
    assert f'href="{LOGIN}' not in page


def test_the_current_session_is_listed_first_and_then_the_last_active(user):
    clients = [sign_in(new_client(), user) for _ in range(3)]
    first, second, third = [client.session.session_key for client in clients]
    UserSession.objects.filter(session_key=third).update(last_seen_at=times.at(0))
    listed = [session.session_key for session in clients[1].get(SESSIONS).context["sessions"]]
    assert listed == [second, first, third]


@pytest.mark.parametrize("all_others, words", [(False, "Signed out: Firefox on Linux."), (True, EVERYWHERE_ELSE)])
def test_a_notice_says_which_sessions_were_signed_out(client, user, all_others, words):
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    other = sign_in(new_client(HTTP_USER_AGENT=agent), user).session.session_key
    sign_in(client, user)
    end_other = f"/accounts/sessions/{UserSession.objects.get(session_key=other).pk}/end/"
    page = client.post(SESSIONS if all_others else end_other, follow=True)
    assert words in html.unescape(page.content.decode())


@pytest.mark.parametrize("which", ["own", "other", "all others"])
def test_sessions_are_listed_and_ended(user, which):
    current, other = sign_in(new_client(), user), sign_in(new_client(), user)
    by_key = {session.session_key: session for session in current.get(SESSIONS).context["sessions"]}
    assert set(by_key) == {current.session.session_key, other.session.session_key}
    if which == "all others":
        current.post(SESSIONS)
    else:
        ending = current if which == "own" else other
        current.post(f"/accounts/sessions/{by_key[ending.session.session_key].pk}/end/")
    assert is_signed_in(current) is (which != "own")
    assert is_signed_in(other) is (which == "own")


def test_a_long_user_agent_is_cut_to_its_column(user):
    sign_in(new_client(HTTP_USER_AGENT="x" * 5000), user)
    assert UserSession.objects.get().user_agent == "x" * 200


def test_a_user_cannot_end_the_session_of_another_user(user, make_user):
    current, bob = sign_in(new_client(), user), sign_in(new_client(), make_user("bob@example.com"))
    (session,) = current.get(SESSIONS).context["sessions"]
    assert bob.post(f"/accounts/sessions/{session.pk}/end/").status_code == 404
    assert redirect_target(new_client().post(f"/accounts/sessions/{session.pk}/end/")).startswith(LOGIN)
    assert is_signed_in(current)
