"""SecondFactorMixin in the user admin of a host."""

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from twofactor.admin import PasskeyAdmin, SecondFactorMixin
from twofactor.models import AuthenticatorApp, BackupCode, Passkey
from twofactor.tests.rows import update
from twofactor.tests.softkey import encode


class OwnUserAdmin(SecondFactorMixin, UserAdmin):
    list_display = ("username", "has_2fa")
    readonly_fields = ("date_joined",)


@pytest.fixture
def show(make_user, rf):
    """Return the admin's page of a user, of a new user, or of the list of users, as text."""
    staff = make_user("staff@example.com", is_staff=True, is_superuser=True)

    def show(user=None, *, view="change_view", site=admin.site):
        request = rf.get("/")
        request.user = staff
        arguments = [] if user is None else [str(user.pk)]
        return getattr(OwnUserAdmin(User, site), view)(request, *arguments).render().content.decode()

    return show


def test_the_page_of_a_user_shows_since_when_2fa_is_on_the_methods_the_last_use_and_the_wait(
    show, user, second_factor, secret
):
    update(second_factor, created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), failures=7, delayed_until=4_000_000_000)
    AuthenticatorApp.objects.update(last_used_at=datetime(2026, 5, 6, 7, 8, tzinfo=UTC))
    with CaptureQueriesContext(connection) as queries:
        shown = show(user)
    assert len([query for query in queries if "backupcode" in query["sql"]]) == 1
    texts = "Jan. 2, 2026, 3:04 a.m.", "Authenticator app, Backup codes", "May 6, 2026, 7:08 a.m.", "Oct. 2, 2096"
    assert [text for text in texts if text not in shown] == []
    link = f'/admin/twofactor/secondfactor/?id__exact={second_factor.pk}"'
    assert link in shown
    assert [text for text in (secret, second_factor.app.sealed_secret, second_factor.version) if text in shown] == []


def test_the_pages_of_passkeys_are_read_only_and_show_no_key(rf, make_user, passkey):
    request = rf.get("/", {"q": "ada"})
    request.user = make_user("staff@example.com", is_staff=True, is_superuser=True)
    pages = PasskeyAdmin(Passkey, admin.site)
    assert not pages.has_add_permission(request)
    assert not pages.has_change_permission(request)
    assert not pages.has_delete_permission(request)
    for page in (pages.changelist_view(request), pages.change_view(request, str(passkey.pk))):
        shown = page.render().content.decode()
        assert [text for text in ("ada@example.com", "Key", "testserver") if text not in shown] == []
        hidden = (passkey.digest, encode(bytes(passkey.credential_id)), str(passkey.credential_id))
        assert [text for text in hidden if text in shown] == []


def test_the_last_use_may_be_that_of_a_backup_code(show, user, second_factor):
    AuthenticatorApp.objects.update(last_used_at=datetime(2026, 5, 6, tzinfo=UTC))
    BackupCode.objects.filter(pk=second_factor.backup_codes.first().pk).update(used_at=datetime(2026, 7, 8, tzinfo=UTC))
    assert "July 8, 2026" in show(user)


@pytest.mark.parametrize("is_staff, status", [(False, "Off"), (True, "Off, but required")])
def test_the_page_of_a_user_without_2fa_says_so(show, make_user, is_staff, status):
    shown = show(make_user(is_staff=is_staff))
    assert f'<div class="readonly">{status}</div>' in shown
    assert "On since" not in shown


def test_the_form_for_a_new_user_and_a_site_without_second_factors_work(show, user, second_factor):
    assert 'name="password1"' in (form := show(view="add_view"))
    assert "On since" not in form
    elsewhere = show(user, site=admin.AdminSite())
    assert "On since" in elsewhere
    assert "secondfactor" not in elsewhere


def test_the_list_of_users_shows_who_has_2fa_in_the_same_number_of_queries(show, bob, second_factor, make_user):
    show(view="changelist_view")
    with CaptureQueriesContext(connection) as before:
        shown = show(view="changelist_view")
    assert [shown.count(f'alt="{value}"') for value in ("True", "False")] == [2, 1]
    for number in range(5):
        make_user(f"user{number}@example.com")
    with CaptureQueriesContext(connection) as after:
        show(view="changelist_view")
    assert len(after) == len(before)
