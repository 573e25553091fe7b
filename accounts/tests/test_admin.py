"""The admin: what staff see, and what neither a stolen session of theirs nor a few permissions get."""

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

CHANGE, REAUTHENTICATE = "/accounts/password/change/", "/accounts/reauthenticate/"
USERS, AUTHENTICATORS = "/admin/accounts/user/", "/admin/twofactor/authenticator/"
ADDRESSES, GROUPS = "/admin/account/emailaddress/", "/admin/auth/group/"
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEW = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}


def prove(client, **fields):
    return client.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_now(SECRET), **fields})


def asks_for_a_proof(response, *, then):
    unsent = "&unsent=1" if response.request["REQUEST_METHOD"] == "POST" else ""
    return unquote(redirect_target(response)) == f"{REAUTHENTICATE}?next={then}{unsent}"


def password_page(user):
    return f"{USERS}{user.pk}/password/"


def turn_off(client, *users):
    rows = list(Authenticator.objects.filter(user__in=users).values_list("pk", flat=True))
    return client.post(AUTHENTICATORS, {"action": "turn_off", "_selected_action": rows, "reason": "lost phone"})


@pytest.fixture
def chief(make_user):
    """A superuser, signed in with a code."""
    return sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def root(chief):
    return User.objects.get(email="root@example.com")


@pytest.fixture
def clerk(make_user):
    """Staff with every permission there is, who just proved who they are; but no superuser."""
    user = make_user("clerk@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="add_session"))
    client = sign_in_with_2fa(user)
    prove(client)
    return client


# --- What staff see and do ------------------------------------------------------------------------


def test_the_admin_lists_users_and_who_has_2fa(chief, user, authenticator):
    page = chief.get("/admin/accounts/user/")
    assert page.status_code == 200
    assert [user.email for user in page.context["cl"].result_list] == ["ada@example.com", "root@example.com"]


def test_the_admin_adds_and_changes_a_user(chief):
    prove(chief)
    typed = {"email": "New@Example.com", "full_name": "New", "usable_password": "true",
             "password1": PASSWORD, "password2": PASSWORD}  # fmt: skip
    assert chief.get("/admin/accounts/user/add/").status_code == 200
    assert chief.post("/admin/accounts/user/add/", typed).status_code == 302
    new = User.objects.get(email="new@example.com")
    assert new.check_password(PASSWORD)
    assert chief.get(f"/admin/accounts/user/{new.pk}/change/").status_code == 200


def test_the_admin_shows_no_secret_digest_or_counter(chief, user, authenticator, secret):
    prove(chief)
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
    prove(chief)
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
    prove(chief)
    page = chief.get(f"/admin/accounts/user/{user.pk}/delete/")
    assert not page.context["perms_lacking"]
    chief.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_the_admins_own_sign_in_is_the_sites(db):
    client = new_client()
    assert redirect_target(client.get("/admin/login/")).startswith("/accounts/login/")
    assert redirect_target(client.post("/admin/login/", {"username": "x", "password": "y"})).startswith(
        "/accounts/login/"
    )


# --- A stolen session -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_admins_own_password_page_leads_to_the_sites(chief, root, method):
    typed = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert redirect_target(getattr(chief, method)("/admin/password_change/", typed)) == CHANGE
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_a_session_alone_sets_nobodys_password(chief, user):
    page = password_page(user)
    assert asks_for_a_proof(chief.get(page), then=page)
    assert asks_for_a_proof(chief.post(page, NEW), then=page)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_session_alone_turns_nobodys_2fa_off(chief, user, authenticator):
    assert asks_for_a_proof(turn_off(chief, user), then=AUTHENTICATORS)
    assert Authenticator.objects.filter(user=user).exists()


def test_a_session_alone_makes_no_superuser_and_no_address_to_come_back_by(chief, root, user):
    new = {"email": "thief@example.com", "full_name": "x", **NEW}
    powerful = {"email": user.email, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    group = {"name": "thieves", "permissions": [Permission.objects.get(codename="change_user").pk]}
    for page, typed in (
        (f"{USERS}add/", new),
        (f"{USERS}{user.pk}/change/", powerful),
        (f"{USERS}{user.pk}/delete/", {"post": "yes"}),
        (USERS, {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}),
        (f"{GROUPS}add/", group),
    ):
        assert asks_for_a_proof(chief.post(page, typed), then=page)
    assert list(User.objects.values_list("email", "is_superuser").order_by("pk")) == [
        (root.email, True),
        (user.email, False),
    ]
    assert not Group.objects.exists()


def test_an_empty_form_asks_for_the_proof_before_it_is_filled_in(chief, user):
    assert asks_for_a_proof(chief.get(f"{USERS}add/"), then=f"{USERS}add/")
    assert chief.get(f"{USERS}{user.pk}/change/").status_code == 200


def test_what_was_posted_without_a_proof_is_kept_nowhere_and_not_done_after_it(chief, user, authenticator):
    before = dict(chief.session)
    turn_off(chief, user)
    chief.post(password_page(user), NEW)
    assert dict(chief.session) == before
    page = password_page(user)
    assert redirect_target(prove(chief, next=page)) == page
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert Authenticator.objects.filter(user=user).exists()


def test_the_password_alone_is_no_proof_where_2fa_is_on(chief, user, authenticator):
    assert prove(chief, code="").status_code == 422
    assert asks_for_a_proof(chief.post(password_page(user), NEW), then=password_page(user))
    assert asks_for_a_proof(turn_off(chief, user), then=AUTHENTICATORS)


def test_a_proof_lasts_for_minutes_only(chief, user, authenticator, settings):
    prove(chief)
    assert chief.get(password_page(user)).status_code == 200
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    assert asks_for_a_proof(chief.get(password_page(user)), then=password_page(user))
    assert asks_for_a_proof(turn_off(chief, user), then=AUTHENTICATORS)


def test_not_even_with_a_proof_does_the_admin_set_ones_own_password(chief, root):
    prove(chief)
    assert redirect_target(chief.post(password_page(root), NEW)) == CHANGE
    assert message_levels(chief.get(CHANGE)) == ["error"]
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_not_even_with_a_proof_does_the_admin_turn_ones_own_2fa_off(chief, root, user, authenticator):
    prove(chief)
    assert redirect_target(turn_off(chief, user, root)) == SETTINGS
    assert message_levels(chief.get(SETTINGS)) == ["error"]
    assert Authenticator.objects.count() == 2


# --- The page that asks for the proof -------------------------------------------------------------


def test_it_says_before_and_after_the_proof_that_a_form_was_not_kept(chief, user):
    form = f"{USERS}{user.pk}/change/"
    page = redirect_target(chief.post(form, {"full_name": "Changed"}))
    assert b"What you sent was not kept" in chief.get(page).content
    refused = prove(chief, code="", next=form, unsent="1")
    assert b"What you sent was not kept" in refused.content
    assert "unsent" in inputs(refused)
    assert redirect_target(prove(chief, next=form, unsent="1")) == form
    assert message_levels(chief.get(form)) == ["info"]


def test_it_says_so_of_nothing_else(chief):
    page = chief.get(redirect_target(chief.get(f"{USERS}add/")))
    assert b"not kept" not in page.content
    assert "unsent" not in inputs(page)
    prove(chief, next=USERS)
    assert message_levels(chief.get(USERS)) == []


def test_the_toggle_to_a_backup_code_forgets_nothing(chief):
    page = chief.get(redirect_target(chief.post(f"{USERS}add/")))
    other = html.unescape(re.search(r'href="([^"]*method=backup[^"]*)"', page.content.decode())[1])
    assert parse_qs(urlsplit(other).query) == {"method": ["backup"], "next": [f"{USERS}add/"], "unsent": ["1"]}


def test_cancel_leads_back_and_never_to_a_page_that_asks_again(chief, user):
    form = f"{USERS}{user.pk}/change/"
    for query, there in (
        ({"next": form, "unsent": 1}, form),
        ({"next": f"{USERS}add/"}, "/admin/"),
        ({"next": "/accounts/email/"}, "/"),
        ({"next": "https://evil.example/admin/", "unsent": 1}, "/"),
        ({"next": "//evil.example/admin/"}, "/"),
        ({}, "/"),
    ):
        page = chief.get(REAUTHENTICATE, query)
        assert page.context["cancel_url"] == there, query
        assert f'href="{there}" hx-boost="false">Cancel<' in page.content.decode()


# --- A password set by staff ----------------------------------------------------------------------


@pytest.mark.parametrize("typed", [NEW, {"usable_password": "false", "unset-password": "1"}], ids=["new", "none"])
def test_a_password_set_by_staff_signs_its_owner_out_everywhere_and_is_told_and_logged(
    chief, root, user, mails_to, caplog, typed
):
    browser = sign_in(new_client(), user)
    prove(chief)
    with caplog.at_level(logging.INFO, "accounts"):
        assert chief.post(password_page(user), typed).status_code == 302
    user.refresh_from_db()
    assert not user.check_password(PASSWORD)
    assert not is_signed_in(browser)
    assert not UserSession.objects.filter(user=user).exists()
    (mail,) = mails_to(user.email)
    assert "your password was changed" in mail.subject
    assert "The staff of Twofactor" in mail.body
    assert "127.0.0.1" not in mail.body
    assert f"event=password_set_by_staff user={user.pk} staff={root.pk} ip=127.0.0.1" in caplog.text
    assert NEW_PASSWORD not in caplog.text + mail.body


def test_whoever_set_it_stays_signed_in_and_in_the_list_of_sessions(chief, root, user):
    prove(chief)
    chief.post(password_page(user), NEW)
    assert is_signed_in(chief)
    assert [row.session_key for row in UserSession.objects.filter(user=root)] == [chief.session.session_key]


def test_a_password_that_will_not_do_signs_nobody_out(chief, user, mails_to):
    browser = sign_in(new_client(), user)
    prove(chief)
    assert chief.post(password_page(user), {**NEW, "password1": "short", "password2": "short"}).status_code == 200
    assert is_signed_in(browser)
    assert not mails_to(user.email)


# --- A few permissions ----------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["clerk@example.com", "ada@example.com"], ids=["their own", "somebody's"])
def test_staff_who_are_no_superusers_give_nobody_powers(clerk, user, whose):
    def powers(row):
        return row.is_staff, row.is_superuser, row.groups.count(), row.user_permissions.count()

    row = User.objects.get(email=whose)
    before = powers(row)
    permission, group = Permission.objects.get(codename="add_session"), Group.objects.create(name="powerful")
    wanted = {"is_staff": "on", "is_superuser": "on", "user_permissions": [permission.pk], "groups": [group.pk]}
    typed = {"email": row.email, "full_name": "Changed", "is_active": "on", **wanted}
    assert clerk.post(f"{USERS}{row.pk}/change/", typed).status_code == 302
    row.refresh_from_db()
    assert row.full_name == "Changed", "the form was not taken at all"
    assert powers(row) == before


@pytest.mark.parametrize("path, typed", [
    ("change/", {"email": "evil@example.com", "full_name": "x", "is_active": "on"}),
    ("password/", NEW),
    ("delete/", {"post": "yes"}),
])  # fmt: skip
def test_staff_who_are_no_superusers_change_no_superuser(clerk, root, path, typed):
    assert clerk.post(f"{USERS}{root.pk}/{path}", typed).status_code == 403
    same = User.objects.get(pk=root.pk)
    assert (same.email, same.password) == (root.email, root.password)


def test_staff_who_are_no_superusers_delete_no_superuser_among_others(clerk, root, user):
    chosen = {"action": "delete_selected", "_selected_action": [root.pk, user.pk], "post": "yes"}
    assert clerk.post(USERS, chosen).status_code == 403
    assert User.objects.filter(pk__in=[root.pk, user.pk]).count() == 2


def test_staff_who_are_no_superusers_turn_no_superusers_2fa_off(clerk, root, user, authenticator):
    assert turn_off(clerk, user, root).status_code == 403
    assert Authenticator.objects.filter(user__in=[user, root]).count() == 2
    turn_off(clerk, user)
    assert not Authenticator.objects.filter(user=user).exists()


def test_staff_who_are_no_superusers_change_neither_groups_nor_addresses(clerk, root):
    group, address = Group.objects.create(name="clerks"), EmailAddress.objects.get(user=root)
    for page, typed in (
        (f"{GROUPS}add/", {"name": "powerful"}),
        (f"{GROUPS}{group.pk}/change/", {"name": "powerful"}),
        (f"{ADDRESSES}add/", {"email": "evil@example.com", "user": root.pk, "verified": "on"}),
        (f"{ADDRESSES}{address.pk}/change/", {"email": "evil@example.com", "user": root.pk, "verified": "on"}),
    ):
        assert clerk.post(page, typed).status_code == 403
    assert clerk.get(f"{GROUPS}{group.pk}/change/").status_code == 200, "they may look"


def test_staff_who_are_no_superusers_delete_users_still(clerk, user, authenticator):
    clerk.post(f"{USERS}{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_superusers_give_powers_and_change_superusers(chief, user, make_user):
    other = make_user("second@example.com", is_staff=True, is_superuser=True)
    typed = {"full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    prove(chief)
    for row in (user, other):
        assert chief.post(f"{USERS}{row.pk}/change/", {**typed, "email": row.email}).status_code == 302
        row.refresh_from_db()
        assert (row.full_name, row.is_superuser) == ("x", True)
