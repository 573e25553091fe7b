"""The admin: pages, step-up against stolen sessions, and privilege escalation by staff."""

import logging
import re
from urllib.parse import unquote

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from accounts.deletion import LastSuperuser, delete_by_staff
from accounts.models import User
from twofactor.models import AuthenticatorApp, BackupCode, SecondFactor
from twofactor.tests.constants import PASSWORD, SECRET, SETTINGS
from twofactor.tests.helpers import code_now, is_signed_in, new_client, sign_in, sign_in_with_2fa
from twofactor.tests.responses import message_levels
from twofactor.tests.rows import update

CHANGE, REAUTHENTICATE = "/accounts/password/change/", "/accounts/2fa/reauthenticate/"
USERS, SECOND_FACTORS = "/admin/accounts/user/", "/admin/twofactor/secondfactor/"
ACTIONS = ("unlock", "turn_off")
NEW_PASSWORD = "basalt-9-Lantern-heron"
NEW = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}


def step_up(client, **fields):
    return client.post(REAUTHENTICATE, {"password": PASSWORD, "code": code_now(SECRET), **fields})


def requires_step_up(response, *, next_url):
    unsent = "&unsent=1" if response.request["REQUEST_METHOD"] == "POST" else ""
    return unquote(response["Location"]) == f"{REAUTHENTICATE}?next={next_url}{unsent}"


def password_page(user):
    return f"{USERS}{user.pk}/password/"


def act(client, action, *users, **fields):
    """Send an action of the list of second factors for these users."""
    rows = list(SecondFactor.objects.filter(user__in=users).values_list("pk", flat=True))
    return client.post(SECOND_FACTORS, {"action": action, "_selected_action": rows, **fields})


@pytest.fixture
def waiting(second_factor):
    """The user's second factor, whose codes have to wait."""
    update(second_factor, delayed_until=4_000_000_000)
    return second_factor


@pytest.fixture
def superuser_client(make_user):
    return sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def superuser(superuser_client):
    return User.objects.get(email="root@example.com")


@pytest.fixture
def stepped_up_client(superuser_client):
    step_up(superuser_client)
    return superuser_client


@pytest.fixture
def staff_client(make_user):
    """A staff member who is not a superuser, has every permission, and has passed step-up."""
    user = make_user("clerk@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="add_session"))
    client = sign_in_with_2fa(user)
    step_up(client)
    return client


# --- Pages ----------------------------------------------------------------------------------------


def test_the_admin_shows_no_secret_digest_or_counter(stepped_up_client, second_factor, secret):
    second_factor.refresh_from_db()
    for path in (SECOND_FACTORS, f"{SECOND_FACTORS}{second_factor.pk}/change/"):
        page = stepped_up_client.get(path)
        assert page.status_code == 200
        hidden = (secret, second_factor.app.sealed_secret, second_factor.version, "last_time_step", "failures", "salt")
        assert not [text for text in hidden if text in page.content.decode()]


@pytest.mark.parametrize("query", [
    "passkey/?credential_id=00", "passkey/?public_key__contains=a", "passkey/?digest__startswith=a",
    "secondfactor/?version__startswith=a", "secondfactor/?failures__gt=3", "secondfactor/?app__sealed_secret__gt=v1",
    "securityevent/?user__password__startswith=a",
])  # fmt: skip
def test_lists_cannot_be_filtered_by_what_they_do_not_show(stepped_up_client, query):
    assert stepped_up_client.get(f"/admin/twofactor/{query}").status_code == 400


def test_the_index_has_the_name_of_the_site_and_a_name_for_each_section(stepped_up_client, settings):
    settings.TWOFACTOR_ISSUER = "Acme <b>"
    page = stepped_up_client.get("/admin/")
    assert "<span>Acme &lt;b&gt; admin</span>" in page.content.decode()
    names = [str(app["name"]) for app in page.context["app_list"]]
    assert names == ["Email addresses", "People", "Permissions", "Two-factor authentication"]


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("action, consequence", [
    ("unlock", "Two-factor authentication stays on"), ("turn_off", "They sign in with only a password"),
])  # fmt: skip
def test_an_action_says_what_will_happen_and_can_be_cancelled_without_losing_the_filter(
    stepped_up_client, user, action, consequence
):
    filtered = f"{SECOND_FACTORS}?q=ada"
    rows = [user.second_factor.pk]
    page = stepped_up_client.post(filtered, {"action": action, "_selected_action": rows}).content.decode()
    assert consequence in page
    assert "They get an email with the reason." in page
    assert page.count(f'<a href="{filtered}"') == 2  # in the breadcrumbs, and Cancel


def test_the_list_of_second_factors_shows_how_many_backup_codes_are_left(stepped_up_client, second_factor):
    BackupCode.objects.filter(pk=second_factor.backup_codes.first().pk).update(used_at=timezone.now())
    page = stepped_up_client.get(f"{SECOND_FACTORS}?q=ada").content.decode()
    assert '<td class="field-codes_left">9</td>' in page


def test_the_list_of_users_shows_who_has_2fa(stepped_up_client, user):
    page = stepped_up_client.get(USERS).content.decode()
    assert [page.count(f'alt="{value}"') for value in ("True", "False")] == [4, 2]  # staff, active, 2FA


def test_the_page_of_a_user_shows_2fa(stepped_up_client, user, waiting):
    assert "Authenticator app" in stepped_up_client.get(f"{USERS}{user.pk}/change/").content.decode()
    assert "Oct 2, 2096" in stepped_up_client.get(SECOND_FACTORS).content.decode()


@pytest.mark.parametrize("action, event", [("unlock", "unlocked_by_staff"), ("turn_off", "reset_by_staff")])
def test_an_action_requires_a_reason_and_is_emailed_and_logged(
    stepped_up_client, superuser, user, waiting, emails_to, caplog, action, event
):
    rows = SecondFactor.objects.filter(user=user)
    before = rows.values().get()
    for fields in ({}, {"reason": " "}):
        assert 'name="reason"' in act(stepped_up_client, action, user, **fields).content.decode()
    assert rows.values().get() == before
    caplog.set_level(logging.INFO, "twofactor")
    act(stepped_up_client, action, user, reason=f"lost phone {'x' * 500}")
    assert [row.seconds_to_wait() for row in rows] == ([0] if action == "unlock" else [])
    (email,) = emails_to(user.email)
    assert re.search(r"lost phone x{489}$", email.body, re.MULTILINE)
    assert "127.0.0.1" not in email.body
    assert f"event={event} user={user.pk} ip=127.0.0.1 staff={superuser.pk} reason='lost phone " in caplog.text


def test_unlocking_says_for_how_many_users_there_was_nothing_to_do(
    stepped_up_client, user, make_user, waiting, emails_to
):
    bob = make_user("bob@example.com")
    AuthenticatorApp.objects.activate(bob, secret=SECRET)
    act(stepped_up_client, "unlock", user, bob, reason="x")
    assert message_levels(stepped_up_client.get(SECOND_FACTORS)) == ["success", "warning"]
    assert (len(emails_to(user.email)), len(emails_to(bob.email))) == (1, 0)


# --- Step-up --------------------------------------------------------------------------------------


def test_every_form_requires_a_recent_step_up_with_a_code(superuser_client, user, second_factor, settings):
    """`test_admin_permissions` shows that no page of the admin changes anything without one."""
    page = password_page(user)
    assert superuser_client.get(f"{USERS}{user.pk}/change/").status_code == 200
    assert requires_step_up(superuser_client.get(f"{USERS}add/"), next_url=f"{USERS}add/")
    assert requires_step_up(superuser_client.get(page), next_url=page)
    assert step_up(superuser_client, code="").status_code == 422
    assert requires_step_up(superuser_client.get(page), next_url=page)
    step_up(superuser_client)
    assert superuser_client.get(page).status_code == 200
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    assert requires_step_up(superuser_client.get(page), next_url=page)
    for action in ACTIONS:
        assert requires_step_up(act(superuser_client, action, user, reason="x"), next_url=SECOND_FACTORS)


def test_a_post_without_step_up_is_neither_stored_nor_repeated(superuser_client, user, second_factor):
    page = password_page(user)
    before = dict(superuser_client.session)
    for next_url, response in (
        (SECOND_FACTORS, act(superuser_client, "turn_off", user, reason="lost phone")),
        (page, superuser_client.post(page, NEW)),
    ):
        assert requires_step_up(response, next_url=next_url)
    assert dict(superuser_client.session) == before
    assert b"What you changed or selected wasn't saved" in superuser_client.get(response["Location"]).content
    assert step_up(superuser_client, next=page)["Location"] == page
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert SecondFactor.objects.filter(user=user).exists()


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("action", ACTIONS)
def test_staff_cannot_change_their_own_password_or_2fa_even_after_step_up(stepped_up_client, superuser, user, action):
    assert stepped_up_client.post(password_page(superuser), NEW)["Location"] == CHANGE
    assert message_levels(stepped_up_client.get(CHANGE)) == ["error"]
    assert act(stepped_up_client, action, user, superuser, reason="x")["Location"] == SETTINGS
    assert message_levels(stepped_up_client.get(SETTINGS))[-1] == "error"
    superuser.refresh_from_db()
    assert superuser.check_password(PASSWORD)
    assert SecondFactor.objects.count() == 2
    assert SecondFactor.objects.get(user=user).seconds_to_wait()


# --- A password set by staff ----------------------------------------------------------------------


@pytest.mark.parametrize("typed", [NEW, {"usable_password": "false", "unset-password": "1"}], ids=["new", "none"])
def test_a_password_set_by_staff_ends_all_sessions_and_is_emailed_and_logged(
    stepped_up_client, superuser, user, emails_to, caplog, typed
):
    browser = sign_in(new_client(), user)
    caplog.set_level(logging.INFO, "accounts")
    stepped_up_client.post(password_page(user), typed)
    user.refresh_from_db()
    assert not user.check_password(PASSWORD)
    assert not is_signed_in(browser)
    assert is_signed_in(stepped_up_client)
    assert [row.session_key for row in UserSession.objects.all()] == [stepped_up_client.session.session_key]
    (email,) = emails_to(user.email)
    assert "Your password was changed" in email.subject
    assert "Our staff changed the password" in email.body
    assert f"event=password_set_by_staff user={user.pk} staff={superuser.pk} ip=127.0.0.1" in caplog.text
    assert not [hidden for hidden in (NEW_PASSWORD, "127.0.0.1") if hidden in email.body]
    assert NEW_PASSWORD not in caplog.text


def test_an_invalid_password_set_by_staff_ends_no_session(stepped_up_client, user, emails_to):
    browser = sign_in(new_client(), user)
    stepped_up_client.post(password_page(user), {**NEW, "password1": "short", "password2": "short"})
    assert is_signed_in(browser)
    assert not emails_to(user.email)


# --- Privilege escalation -------------------------------------------------------------------------


def test_staff_cannot_grant_privileges(staff_client):
    """To themselves. `test_admin_permissions` shows it for the accounts of others."""
    row = User.objects.get(email="clerk@example.com")
    before = list(row.user_permissions.all())
    permission, group = Permission.objects.get(codename="add_session"), Group.objects.create(name="x")
    rows = {"groups": group.pk, "user_permissions": permission.pk}
    typed = {"full_name": "Changed", "is_active": "on", "is_staff": "on", "is_superuser": "on", **rows}
    staff_client.post(f"{USERS}{row.pk}/change/", typed)
    row.refresh_from_db()
    assert (row.full_name, row.is_superuser) == ("Changed", False)
    assert (list(row.user_permissions.all()), row.groups.count()) == (before, 0)


def test_superusers_grant_privileges_and_change_superusers(stepped_up_client, user, make_user):
    for row in (user, make_user("second@example.com", is_staff=True, is_superuser=True)):
        typed = {"email": row.email, "full_name": "x", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
        stepped_up_client.post(f"{USERS}{row.pk}/change/", typed)
        row.refresh_from_db()
        assert (row.full_name, row.is_superuser) == ("x", True)


def test_staff_cannot_change_superusers(staff_client, superuser, user):
    before = User.objects.values().get(pk=superuser.pk)
    bulk = {"action": "delete_selected", "_selected_action": [superuser.pk, user.pk], "post": "yes"}
    for path, typed in (
        (f"{USERS}{superuser.pk}/change/", {"email": superuser.email, "full_name": "x", "is_active": "on"}),
        (password_page(superuser), NEW),
        (f"{USERS}{superuser.pk}/delete/", {"post": "yes"}),
        (USERS, bulk),
    ):
        assert staff_client.post(path, typed).status_code == 403
    assert User.objects.values().get(pk=superuser.pk) == before
    assert User.objects.filter(pk=user.pk).exists()
    staff_client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_an_account_deleted_by_staff_is_told_to_its_owner_and_logged(
    stepped_up_client, superuser, user, make_user, emails_to, caplog
):
    bob, browser = make_user("bob@example.com"), sign_in(new_client(), user)
    stepped_up_client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"})
    stepped_up_client.post(USERS, {"action": "delete_selected", "_selected_action": [bob.pk], "post": "yes"})
    for each in (user, bob):
        (message,) = emails_to(each.email)
        assert "Our staff deleted your Twofactor account" in message.body
        assert "127.0.0.1" not in message.body
        assert f"event=account_deleted_by_staff user={each.pk} staff={superuser.pk} ip=127.0.0.1" in caplog.text
    assert not is_signed_in(browser)
    assert User.objects.get() == superuser
    assert not LogEntry.objects.filter(object_repr__contains="@").exists()


def test_the_last_superuser_cannot_be_deleted(stepped_up_client, superuser):
    delete_one = f"{USERS}{superuser.pk}/delete/", {"post": "yes"}
    bulk = USERS, {"action": "delete_selected", "_selected_action": [superuser.pk], "post": "yes"}
    for request in (delete_one, bulk):
        page = stepped_up_client.post(*request)
        assert "the last superuser" in page.content.decode()
    with pytest.raises(LastSuperuser):  # as in a race of two superusers
        delete_by_staff(User.objects.all())
    assert User.objects.contains(superuser)
    User.objects.create_superuser("deputy@example.com", PASSWORD)
    stepped_up_client.post(*delete_one)
    assert not User.objects.contains(superuser)


@pytest.mark.parametrize("action", ACTIONS)
def test_staff_cannot_turn_off_or_unlock_the_2fa_of_superusers(staff_client, superuser, user, waiting, action):
    before = list(SecondFactor.objects.order_by("pk").values())
    assert act(staff_client, action, user, superuser, reason="x").status_code == 403
    assert list(SecondFactor.objects.order_by("pk").values()) == before
    act(staff_client, action, user, reason="x")
    assert not SecondFactor.objects.filter(user=user, delayed_until__gt=0).exists()
