"""The admin: pages, step-up against stolen sessions, and privilege escalation by staff."""

import html
import logging
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group, Permission

from accounts.models import User
from conftest import PASSWORD, SECRET
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    SETTINGS,
    code_now,
    inputs,
    is_signed_in,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
    sign_in_with_2fa,
)

CHANGE, REAUTHENTICATE = "/accounts/password/change/", "/accounts/2fa/reauthenticate/"
USERS, AUTHENTICATORS = "/admin/accounts/user/", "/admin/twofactor/authenticator/"
ADDRESSES, GROUPS = "/admin/account/emailaddress/", "/admin/auth/group/"
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEW = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}


def step_up(client, **fields):
    return client.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_now(SECRET), **fields})


def requires_step_up(response, *, next_url):
    unsent = "&unsent=1" if response.request["REQUEST_METHOD"] == "POST" else ""
    return unquote(redirect_target(response)) == f"{REAUTHENTICATE}?next={next_url}{unsent}"


def password_page(user):
    return f"{USERS}{user.pk}/password/"


def turn_off(client, *users):
    rows = list(Authenticator.objects.filter(user__in=users).values_list("pk", flat=True))
    return client.post(AUTHENTICATORS, {"action": "turn_off", "_selected_action": rows, "reason": "lost phone"})


@pytest.fixture
def superuser_client(make_user):
    """A superuser who signed in with a code."""
    return sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def superuser(superuser_client):
    return User.objects.get(email="root@example.com")


@pytest.fixture
def staff_client(make_user):
    """A staff member who is not a superuser, has every permission, and has passed step-up."""
    user = make_user("clerk@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="add_session"))
    client = sign_in_with_2fa(user)
    step_up(client)
    return client


# --- What staff see and do ------------------------------------------------------------------------


def test_the_user_list_shows_who_has_2fa(superuser_client, user, authenticator):
    page = superuser_client.get("/admin/accounts/user/")
    assert page.status_code == 200
    assert [user.email for user in page.context["cl"].result_list] == ["ada@example.com", "root@example.com"]


def test_superusers_add_and_change_users(superuser_client):
    step_up(superuser_client)
    typed = {"email": "New@Example.com", "full_name": "New", "usable_password": "true",
             "password1": PASSWORD, "password2": PASSWORD}  # fmt: skip
    assert superuser_client.get("/admin/accounts/user/add/").status_code == 200
    assert superuser_client.post("/admin/accounts/user/add/", typed).status_code == 302
    new = User.objects.get(email="new@example.com")
    assert new.check_password(PASSWORD)
    assert superuser_client.get(f"/admin/accounts/user/{new.pk}/change/").status_code == 200


def test_the_admin_shows_no_secret_digest_or_counter(superuser_client, user, authenticator, secret):
    step_up(superuser_client)
    authenticator.refresh_from_db()
    for path in ("/admin/twofactor/authenticator/", f"/admin/twofactor/authenticator/{authenticator.pk}/change/"):
        page = superuser_client.get(path)
        assert page.status_code == 200
        hidden = (secret, authenticator.sealed_secret, authenticator.version, "last_time_step", "failures", "salt")
        assert not [text for text in hidden if text in page.content.decode()]
    response = superuser_client.post(f"{AUTHENTICATORS}{authenticator.pk}/delete/", {"post": "yes"})
    assert response.status_code == 403
    assert superuser_client.get("/admin/twofactor/authenticator/add/").status_code == 403
    assert Authenticator.objects.filter(pk=authenticator.pk).exists()


def test_turning_2fa_off_requires_a_reason(superuser_client, user, authenticator, emails_to):
    step_up(superuser_client)
    chosen = {"action": "turn_off", "_selected_action": [authenticator.pk]}
    form = superuser_client.post("/admin/twofactor/authenticator/", chosen)
    assert form.status_code == 200
    assert 'name="reason"' in form.content.decode()
    assert superuser_client.post("/admin/twofactor/authenticator/", {**chosen, "reason": " "}).status_code == 200
    assert Authenticator.objects.filter(user=user).exists()
    superuser_client.post("/admin/twofactor/authenticator/", {**chosen, "reason": "lost phone"})
    assert not Authenticator.objects.filter(user=user).exists()
    (email,) = emails_to(user.email)
    assert "lost phone" in email.body


def test_a_user_with_2fa_can_be_deleted(superuser_client, user, authenticator):
    step_up(superuser_client)
    page = superuser_client.get(f"/admin/accounts/user/{user.pk}/delete/")
    assert not page.context["perms_lacking"]
    superuser_client.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_the_admin_login_redirects_to_the_site_login(db):
    client = new_client()
    assert redirect_target(client.get("/admin/login/")).startswith("/accounts/login/")
    assert redirect_target(client.post("/admin/login/", {"username": "x", "password": "y"})).startswith(
        "/accounts/login/"
    )


# --- A stolen session -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_admin_password_page_redirects_to_the_site_page(superuser_client, superuser, method):
    typed = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert redirect_target(getattr(superuser_client, method)("/admin/password_change/", typed)) == CHANGE
    superuser.refresh_from_db()
    assert superuser.check_password(PASSWORD)


def test_setting_a_password_requires_step_up(superuser_client, user):
    page = password_page(user)
    assert requires_step_up(superuser_client.get(page), next_url=page)
    assert requires_step_up(superuser_client.post(page, NEW), next_url=page)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_turning_2fa_off_requires_step_up(superuser_client, user, authenticator):
    assert requires_step_up(turn_off(superuser_client, user), next_url=AUTHENTICATORS)
    assert Authenticator.objects.filter(user=user).exists()


def test_changing_users_and_groups_requires_step_up(superuser_client, superuser, user):
    new = {"email": "attacker@example.com", "full_name": "x", **NEW}
    promoted = {"email": user.email, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    group = {"name": "attackers", "permissions": [Permission.objects.get(codename="change_user").pk]}
    for page, typed in (
        (f"{USERS}add/", new),
        (f"{USERS}{user.pk}/change/", promoted),
        (f"{USERS}{user.pk}/delete/", {"post": "yes"}),
        (USERS, {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}),
        (f"{GROUPS}add/", group),
    ):
        assert requires_step_up(superuser_client.post(page, typed), next_url=page)
    assert list(User.objects.values_list("email", "is_superuser").order_by("pk")) == [
        (superuser.email, True),
        (user.email, False),
    ]
    assert not Group.objects.exists()


def test_an_empty_form_requires_step_up_before_it_is_filled_in(superuser_client, user):
    assert requires_step_up(superuser_client.get(f"{USERS}add/"), next_url=f"{USERS}add/")
    assert superuser_client.get(f"{USERS}{user.pk}/change/").status_code == 200


def test_a_post_without_step_up_is_neither_stored_nor_repeated(superuser_client, user, authenticator):
    before = dict(superuser_client.session)
    turn_off(superuser_client, user)
    superuser_client.post(password_page(user), NEW)
    assert dict(superuser_client.session) == before
    page = password_page(user)
    assert redirect_target(step_up(superuser_client, next=page)) == page
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert Authenticator.objects.filter(user=user).exists()


def test_step_up_requires_a_code_while_2fa_is_on(superuser_client, user, authenticator):
    assert step_up(superuser_client, code="").status_code == 422
    assert requires_step_up(superuser_client.post(password_page(user), NEW), next_url=password_page(user))
    assert requires_step_up(turn_off(superuser_client, user), next_url=AUTHENTICATORS)


def test_step_up_expires(superuser_client, user, authenticator, settings):
    step_up(superuser_client)
    assert superuser_client.get(password_page(user)).status_code == 200
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    assert requires_step_up(superuser_client.get(password_page(user)), next_url=password_page(user))
    assert requires_step_up(turn_off(superuser_client, user), next_url=AUTHENTICATORS)


def test_staff_cannot_set_their_own_password_even_after_step_up(superuser_client, superuser):
    step_up(superuser_client)
    assert redirect_target(superuser_client.post(password_page(superuser), NEW)) == CHANGE
    assert message_levels(superuser_client.get(CHANGE)) == ["error"]
    superuser.refresh_from_db()
    assert superuser.check_password(PASSWORD)


def test_staff_cannot_turn_off_their_own_2fa_even_after_step_up(superuser_client, superuser, user, authenticator):
    step_up(superuser_client)
    assert redirect_target(turn_off(superuser_client, user, superuser)) == SETTINGS
    assert message_levels(superuser_client.get(SETTINGS)) == ["error"]
    assert Authenticator.objects.count() == 2


# --- The step-up page -----------------------------------------------------------------------------


def test_a_message_before_and_after_step_up_says_that_the_form_was_not_saved(superuser_client, user):
    form = f"{USERS}{user.pk}/change/"
    page = redirect_target(superuser_client.post(form, {"full_name": "Changed"}))
    assert b"What you sent was not kept" in superuser_client.get(page).content
    refused = step_up(superuser_client, code="", next=form, unsent="1")
    assert b"What you sent was not kept" in refused.content
    assert "unsent" in inputs(refused)
    assert redirect_target(step_up(superuser_client, next=form, unsent="1")) == form
    assert message_levels(superuser_client.get(form)) == ["info"]


def test_a_request_without_a_form_gets_no_such_message(superuser_client):
    page = superuser_client.get(redirect_target(superuser_client.get(f"{USERS}add/")))
    assert b"not kept" not in page.content
    assert "unsent" not in inputs(page)
    step_up(superuser_client, next=USERS)
    assert message_levels(superuser_client.get(USERS)) == []


def test_the_link_to_the_backup_code_form_keeps_the_query(superuser_client):
    page = superuser_client.get(redirect_target(superuser_client.post(f"{USERS}add/")))
    link = html.unescape(re.search(r'href="([^"]*method=backup[^"]*)"', page.content.decode())[1])
    assert parse_qs(urlsplit(link).query) == {"method": ["backup"], "next": [f"{USERS}add/"], "unsent": ["1"]}


def test_cancel_returns_to_a_page_that_does_not_require_step_up(superuser_client, user):
    form = f"{USERS}{user.pk}/change/"
    for query, cancel_url in (
        ({"next": form, "unsent": 1}, form),
        ({"next": f"{USERS}add/"}, "/admin/"),
        ({"next": "/accounts/email/"}, "/"),
        ({"next": "https://evil.example/admin/", "unsent": 1}, "/"),
        ({"next": "//evil.example/admin/"}, "/"),
        ({}, "/"),
    ):
        page = superuser_client.get(REAUTHENTICATE, query)
        assert page.context["cancel_url"] == cancel_url, query
        assert f'href="{cancel_url}" hx-boost="false">Cancel<' in page.content.decode()


# --- A password set by staff ----------------------------------------------------------------------


@pytest.mark.parametrize("typed", [NEW, {"usable_password": "false", "unset-password": "1"}], ids=["new", "none"])
def test_a_password_set_by_staff_ends_all_sessions_and_is_emailed_and_logged(
    superuser_client, superuser, user, emails_to, caplog, typed
):
    browser = sign_in(new_client(), user)
    step_up(superuser_client)
    with caplog.at_level(logging.INFO, "accounts"):
        assert superuser_client.post(password_page(user), typed).status_code == 302
    user.refresh_from_db()
    assert not user.check_password(PASSWORD)
    assert not is_signed_in(browser)
    assert not UserSession.objects.filter(user=user).exists()
    (email,) = emails_to(user.email)
    assert "your password was changed" in email.subject
    assert "The staff of Twofactor" in email.body
    assert "127.0.0.1" not in email.body
    assert f"event=password_set_by_staff user={user.pk} staff={superuser.pk} ip=127.0.0.1" in caplog.text
    assert NEW_PASSWORD not in caplog.text + email.body


def test_staff_who_set_a_password_stay_signed_in_and_listed(superuser_client, superuser, user):
    step_up(superuser_client)
    superuser_client.post(password_page(user), NEW)
    assert is_signed_in(superuser_client)
    assert UserSession.objects.get(user=superuser).session_key == superuser_client.session.session_key


def test_an_invalid_password_ends_no_session(superuser_client, user, emails_to):
    browser = sign_in(new_client(), user)
    step_up(superuser_client)
    response = superuser_client.post(password_page(user), {**NEW, "password1": "short", "password2": "short"})
    assert response.status_code == 200
    assert is_signed_in(browser)
    assert not emails_to(user.email)


# --- Privilege escalation -------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["clerk@example.com", "ada@example.com"], ids=["own account", "other account"])
def test_staff_cannot_grant_privileges(staff_client, user, email):
    def privileges(row):
        return row.is_staff, row.is_superuser, row.groups.count(), row.user_permissions.count()

    row = User.objects.get(email=email)
    before = privileges(row)
    permission = Permission.objects.get(codename="add_session")
    group = Group.objects.create(name="privileged")
    wanted = {"is_staff": "on", "is_superuser": "on", "user_permissions": [permission.pk], "groups": [group.pk]}
    typed = {"email": row.email, "full_name": "Changed", "is_active": "on", **wanted}
    assert staff_client.post(f"{USERS}{row.pk}/change/", typed).status_code == 302
    row.refresh_from_db()
    assert row.full_name == "Changed", "The form was not saved at all."
    assert privileges(row) == before


@pytest.mark.parametrize("path, typed", [
    ("change/", {"email": "evil@example.com", "full_name": "x", "is_active": "on"}),
    ("password/", NEW),
    ("delete/", {"post": "yes"}),
])  # fmt: skip
def test_staff_cannot_change_superusers(staff_client, superuser, path, typed):
    assert staff_client.post(f"{USERS}{superuser.pk}/{path}", typed).status_code == 403
    unchanged = User.objects.get(pk=superuser.pk)
    assert (unchanged.email, unchanged.password) == (superuser.email, superuser.password)


def test_staff_cannot_delete_superusers_in_bulk(staff_client, superuser, user):
    chosen = {"action": "delete_selected", "_selected_action": [superuser.pk, user.pk], "post": "yes"}
    assert staff_client.post(USERS, chosen).status_code == 403
    assert User.objects.filter(pk__in=[superuser.pk, user.pk]).count() == 2


def test_staff_cannot_turn_off_the_2fa_of_superusers(staff_client, superuser, user, authenticator):
    assert turn_off(staff_client, user, superuser).status_code == 403
    assert Authenticator.objects.filter(user__in=[user, superuser]).count() == 2
    turn_off(staff_client, user)
    assert not Authenticator.objects.filter(user=user).exists()


def test_staff_cannot_change_groups_or_addresses(staff_client, superuser):
    group = Group.objects.create(name="clerks")
    address = EmailAddress.objects.get(user=superuser)
    for page, typed in (
        (f"{GROUPS}add/", {"name": "privileged"}),
        (f"{GROUPS}{group.pk}/change/", {"name": "privileged"}),
        (f"{ADDRESSES}add/", {"email": "evil@example.com", "user": superuser.pk, "verified": "on"}),
        (f"{ADDRESSES}{address.pk}/change/", {"email": "evil@example.com", "user": superuser.pk, "verified": "on"}),
    ):
        assert staff_client.post(page, typed).status_code == 403
    assert staff_client.get(f"{GROUPS}{group.pk}/change/").status_code == 200, "Staff may view a group."


def test_staff_can_delete_users(staff_client, user, authenticator):
    staff_client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_superusers_can_grant_privileges_and_change_superusers(superuser_client, user, make_user):
    other = make_user("second@example.com", is_staff=True, is_superuser=True)
    typed = {"full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    step_up(superuser_client)
    for row in (user, other):
        assert superuser_client.post(f"{USERS}{row.pk}/change/", {**typed, "email": row.email}).status_code == 302
        row.refresh_from_db()
        assert (row.full_name, row.is_superuser) == ("x", True)
