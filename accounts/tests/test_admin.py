"""The admin: what staff see, and what neither a stolen session of theirs nor a few permissions get."""

import pytest

from accounts.models import User
from conftest import PASSWORD, SECRET
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    code_now,
    leads_to,
    new_client,
    sign_in,
)

CHANGE = "/accounts/password/change/"
NEW_PASSWORD = "basalt-9-Lantern-heron"


def sign_in_with_2fa(user):
    """A browser whose user has unused codes again."""
    Authenticator.objects.activate(user, secret=SECRET)
    Authenticator.objects.update(last_time_step=-1)
    client = sign_in(new_client(), user, code=code_now(SECRET))
    Authenticator.objects.update(last_time_step=-1)
    return client


@pytest.fixture
def chief(make_user):
    """A superuser, signed in with a code."""
    return sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def root(chief):
    return User.objects.get(email="root@example.com")


# --- What staff see and do ------------------------------------------------------------------------


def test_the_admin_lists_users_and_who_has_2fa(chief, user, authenticator):
    page = chief.get("/admin/accounts/user/")
    assert page.status_code == 200
    assert [user.email for user in page.context["cl"].result_list] == ["ada@example.com", "root@example.com"]


def test_the_admin_adds_and_changes_a_user(chief):
    typed = {"email": "New@Example.com", "full_name": "New", "usable_password": "true",
             "password1": PASSWORD, "password2": PASSWORD}  # fmt: skip
    assert chief.get("/admin/accounts/user/add/").status_code == 200
    assert chief.post("/admin/accounts/user/add/", typed).status_code == 302
    new = User.objects.get(email="new@example.com")
    assert new.check_password(PASSWORD)
    assert chief.get(f"/admin/accounts/user/{new.pk}/change/").status_code == 200


def test_the_admin_shows_no_secret_digest_or_counter(chief, user, authenticator, secret):
    authenticator.refresh_from_db()
    for path in ("/admin/twofactor/authenticator/", f"/admin/twofactor/authenticator/{authenticator.pk}/change/"):
        page = chief.get(path)
        assert page.status_code == 200
        for hidden in (
            authenticator.sealed_secret,
            secret,
            authenticator.version,
            "last_time_step",
            "failures",
            "salt",
        ):
            assert hidden not in page.content.decode()
    assert chief.post(f"/admin/twofactor/authenticator/{authenticator.pk}/delete/", {"post": "yes"}).status_code == 403
    assert chief.get("/admin/twofactor/authenticator/add/").status_code == 403
    assert Authenticator.objects.filter(pk=authenticator.pk).exists()


def test_the_admin_turns_2fa_off_with_a_reason_only(chief, user, authenticator, mails_to):
    chosen = {"action": "turn_off", "_selected_action": [authenticator.pk]}
    asked = chief.post("/admin/twofactor/authenticator/", chosen)
    assert asked.status_code == 200
    assert 'name="reason"' in asked.content.decode()
    assert chief.post("/admin/twofactor/authenticator/", {**chosen, "reason": " "}).status_code == 200
    assert Authenticator.objects.filter(user=user).exists()
    chief.post("/admin/twofactor/authenticator/", {**chosen, "reason": "lost phone"})
    assert not Authenticator.objects.filter(user=user).exists()
    (mail,) = mails_to(user.email)
    assert "lost phone" in mail.body


def test_the_admin_deletes_a_user_with_2fa(chief, user, authenticator):
    page = chief.get(f"/admin/accounts/user/{user.pk}/delete/")
    assert not page.context["perms_lacking"]
    chief.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_the_admins_own_sign_in_is_the_sites(db):
    client = new_client()
    assert leads_to(client.get("/admin/login/")).startswith("/accounts/login/")
    assert leads_to(client.post("/admin/login/", {"username": "x", "password": "y"})).startswith("/accounts/login/")


# --- A stolen session -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_admins_own_password_page_leads_to_the_sites(chief, root, method):
    typed = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert leads_to(getattr(chief, method)("/admin/password_change/", typed)) == CHANGE
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_there_five_wrong_old_passwords_are_all_that_a_session_gets(chief):
    wrong = {"oldpassword": "not-the-password", "password1": NEW_PASSWORD}
    assert [chief.post(CHANGE, wrong).status_code for _ in range(6)] == [200] * 5 + [429]
