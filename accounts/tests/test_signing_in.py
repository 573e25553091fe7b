"""Sign-in, sign-out, and the list of sessions."""

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
# The site, and a view without a decorator for access.
urlpatterns = [path("undecorated/", lambda request: HttpResponse("undecorated")), *site]


@pytest.fixture(params=["plain", "htmx"])
def anonymous_client(request):
    return new_client(htmx=request.param == "htmx")


# --- Sign-in and sign-out -------------------------------------------------------------------------


def test_a_user_signs_in_and_out(anonymous_client, user):
    assert {"login", "password"} <= set(inputs(anonymous_client.get(LOGIN)))
    sign_in(anonymous_client, user)
    assert anonymous_client.get("/accounts/logout/").status_code == 200
    assert is_signed_in(anonymous_client), "A GET signs out."
    old = anonymous_client.session.session_key
    assert redirect_target(anonymous_client.post("/accounts/logout/")) == "/"
    assert not is_signed_in(anonymous_client)
    assert redirect_target(anonymous_client.get(SETTINGS)).startswith(LOGIN)
    assert not anonymous_client.session.exists(old)


def test_sign_in_does_not_reveal_whether_an_account_exists(anonymous_client, user):
    known = anonymous_client.post(LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"})
    unknown = anonymous_client.post(LOGIN, {"login": "nobody@example.com", "password": "wrong-wrong-wrong"})
    assert errors(known) == errors(unknown)
    assert known.status_code == unknown.status_code == 422
    assert not is_signed_in(anonymous_client)


def test_a_wrong_password_moves_the_focus_to_the_password_and_marks_it_invalid(anonymous_client, user):
    assert "autofocus" in inputs(anonymous_client.get(LOGIN))["login"]
    response = anonymous_client.post(LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"})
    login, password = inputs(response)["login"], inputs(response)["password"]
    assert "autofocus" not in login
    assert "aria-invalid" not in login
    assert "autofocus" in password
    assert password["aria-invalid"] == "true"
    assert "id_password_error" in password["aria-describedby"]


def test_the_response_never_contains_the_password(anonymous_client, user):
    response = anonymous_client.post(
        LOGIN, {"login": user.email, "password": "wrong-wrong-wrong"}, headers={"X-Requested-With": "XMLHttpRequest"}
    )
    assert response["Content-Type"].startswith("text/html")
    assert "wrong-wrong-wrong" not in response.content.decode()


def test_the_code_page_has_no_link_to_sign_in_or_sign_up(user, authenticator):
    client = new_client()
    give_password(client, user)
    page = client.get(VERIFY_LOGIN).content.decode()
    assert f'href="{SIGNUP}' not in page
    assert f'href="{LOGIN}' not in page


def test_visiting_a_page_creates_no_session(anonymous_client, db):
    for visited in ("/", LOGIN, SIGNUP, RESET, SETTINGS, "/nowhere/", "/healthz"):
        anonymous_client.get(visited)
    assert "sessionid" not in anonymous_client.cookies


# --- Access ---------------------------------------------------------------------------------------


def test_a_view_requires_sign_in_by_default(user, settings):
    settings.ROOT_URLCONF = __name__
    assert redirect_target(new_client().get("/undecorated/")) == f"{LOGIN}?next=/undecorated/"
    assert sign_in(new_client(), user).get("/undecorated/").content == b"undecorated"


def test_ten_wrong_passwords_a_minute_block_their_source_and_not_the_owner(user):
    attacker, owner = new_client(REMOTE_ADDR="192.0.2.1"), new_client(REMOTE_ADDR="192.0.2.2")
    for _ in range(10):
        give_password(attacker, user, password="wrong-wrong-wrong")
    give_password(attacker, user)
    assert not is_signed_in(attacker)
    give_password(owner, user)
    assert is_signed_in(owner)


# --- Sessions -------------------------------------------------------------------------------------


def test_sign_in_invalidates_the_previous_session_key(user):
    client, attacker = new_client(), new_client()
    client.get("/accounts/login/?next=/accounts/2fa/")
    session = client.session  # Creates a session.
    session["x"] = 1
    session.save()
    attacker.cookies["sessionid"] = fixed = client.cookies["sessionid"].value
    sign_in(client, user)
    assert client.cookies["sessionid"].value != fixed
    assert redirect_target(attacker.get(SETTINGS)).startswith("/accounts/login/")


def test_sign_out_deletes_the_session(user):
    client = sign_in(new_client(), user)
    key = client.session.session_key
    client.post("/accounts/logout/")
    assert not is_signed_in(client)
    assert not client.session.exists(key)


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


def test_a_user_cannot_end_the_session_of_another_user(user, make_user):
    current, bob = sign_in(new_client(), user), sign_in(new_client(), make_user("bob@example.com"))
    (session,) = current.get(SESSIONS).context["sessions"]
    assert bob.post(f"/accounts/sessions/{session.pk}/end/").status_code == 404
    assert is_signed_in(current)


def test_an_anonymous_user_cannot_end_a_session(user):
    current = sign_in(new_client(), user)
    (session,) = current.get(SESSIONS).context["sessions"]
    assert redirect_target(new_client().post(f"/accounts/sessions/{session.pk}/end/")).startswith(LOGIN)
    assert is_signed_in(current)
