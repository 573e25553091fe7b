"""Signing in and out, and sessions as people see them: listed, ended, and dead where they must be."""

import pytest
from django.http import HttpResponse
from django.urls import path

from config.urls import urlpatterns as site
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    VERIFY_LOGIN,
    errors,
    give_password,
    inputs,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

SIGNUP, RESET, SESSIONS = "/accounts/signup/", "/accounts/password/reset/", "/accounts/sessions/"
# The site, and a page whose author forgot to say who may see it.
urlpatterns = [path("forgotten/", lambda request: HttpResponse("forgotten")), *site]


@pytest.fixture(params=["plain", "htmx"])
def visitor(request):
    return new_client(htmx=request.param == "htmx")


# --- Sign-in and sign-out -------------------------------------------------------------------------


def test_signing_in_and_out(visitor, user):
    assert {"login", "password"} <= set(inputs(visitor.get(LOGIN)))
    sign_in(visitor, user)
    assert visitor.get("/accounts/logout/").status_code == 200
    assert is_signed_in(visitor), "a GET signs out"
    old = visitor.session.session_key
    assert redirect_target(visitor.post("/accounts/logout/")) == "/"
    assert not is_signed_in(visitor)
    assert redirect_target(visitor.get(SETTINGS)).startswith(LOGIN)
    assert not visitor.session.exists(old)


def test_known_and_unknown_addresses_get_the_same_answer(visitor, user):
    known = visitor.post(LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"})
    unknown = visitor.post(LOGIN, {"login": "nobody@example.com", "password": "wrong-wrong-wrong"})
    assert errors(known) == errors(unknown)
    assert known.status_code == unknown.status_code == 422
    assert not is_signed_in(visitor)


def test_after_a_wrong_password_that_field_has_the_focus_and_is_marked(visitor, user):
    assert "autofocus" in inputs(visitor.get(LOGIN))["login"]
    response = visitor.post(LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"})
    login, password = inputs(response)["login"], inputs(response)["password"]
    assert "autofocus" not in login
    assert "aria-invalid" not in login
    assert "autofocus" in password
    assert password["aria-invalid"] == "true"
    assert "id_password_error" in password["aria-describedby"]


def test_the_password_is_never_sent_back(visitor, user):
    response = visitor.post(
        LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"}, headers={"X-Requested-With": "XMLHttpRequest"}
    )
    assert response["Content-Type"].startswith("text/html")
    assert "wrong-wrong-wrong" not in response.content.decode()


def test_the_code_page_has_no_link_to_another_sign_in(user, authenticator):
    client = new_client()
    give_password(client, user)
    page = client.get(VERIFY_LOGIN).content.decode()
    assert f'href="{SIGNUP}' not in page
    assert f'href="{LOGIN}' not in page


def test_nobody_gets_a_session_row_for_a_visit(visitor, db):
    for visited in ("/", LOGIN, SIGNUP, RESET, SETTINGS, "/nowhere/", "/healthz"):
        visitor.get(visited)
    assert "sessionid" not in visitor.cookies


# --- Who may not ----------------------------------------------------------------------------------


def test_a_page_that_says_nothing_asks_for_sign_in(user, settings):
    settings.ROOT_URLCONF = __name__
    assert redirect_target(new_client().get("/forgotten/")) == f"{LOGIN}?next=/forgotten/"
    assert sign_in(new_client(), user).get("/forgotten/").content == b"forgotten"


def test_ten_wrong_passwords_a_minute_are_enough_for_one_source_and_keep_no_owner_out(user):
    stranger, owner = new_client(REMOTE_ADDR="192.0.2.1"), new_client(REMOTE_ADDR="192.0.2.2")
    for _ in range(10):
        give_password(stranger, user, password="wrong-wrong-wrong")
    give_password(stranger, user)
    assert not is_signed_in(stranger)
    give_password(owner, user)
    assert is_signed_in(owner)


# --- Sessions -------------------------------------------------------------------------------------


def test_an_old_cookie_is_dead_after_signing_in(user):
    client, thief = new_client(), new_client()
    client.get("/accounts/login/?next=/accounts/2fa/")
    session = client.session  # makes one
    session["x"] = 1
    session.save()
    thief.cookies["sessionid"] = fixed = client.cookies["sessionid"].value
    sign_in(client, user)
    assert client.cookies["sessionid"].value != fixed
    assert redirect_target(thief.get(SETTINGS)).startswith("/accounts/login/")


def test_signing_out_ends_the_row(user):
    client = sign_in(new_client(), user)
    key = client.session.session_key
    client.post("/accounts/logout/")
    assert not is_signed_in(client)
    assert not client.session.exists(key)


@pytest.mark.parametrize("which", ["own", "other", "all others"])
def test_sessions_are_listed_and_ended(user, which):
    here, there = sign_in(new_client(), user), sign_in(new_client(), user)
    by_key = {session.session_key: session for session in here.get(SESSIONS).context["sessions"]}
    assert set(by_key) == {here.session.session_key, there.session.session_key}
    if which == "all others":
        here.post(SESSIONS)
    else:
        ending = here if which == "own" else there
        here.post(f"/accounts/sessions/{by_key[ending.session.session_key].pk}/end/")
    assert is_signed_in(here) is (which != "own")
    assert is_signed_in(there) is (which == "own")


def test_nobody_ends_somebody_elses_session(user, make_user):
    here, bob = sign_in(new_client(), user), sign_in(new_client(), make_user("bob@example.com"))
    (session,) = here.get(SESSIONS).context["sessions"]
    assert bob.post(f"/accounts/sessions/{session.pk}/end/").status_code == 404
    assert is_signed_in(here)


def test_a_stranger_ends_nobodys_session(user):
    here = sign_in(new_client(), user)
    (session,) = here.get(SESSIONS).context["sessions"]
    assert redirect_target(new_client().post(f"/accounts/sessions/{session.pk}/end/")).startswith(LOGIN)
    assert is_signed_in(here)
