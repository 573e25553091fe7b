"""Deleting an account: what goes, who is told, and when nothing is deleted."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import deletion
from accounts.forms import ResetPasswordKeyForm
from accounts.models import User
from twofactor.models import AuthenticatorApp, BackupCode, ChangedMeanwhile, SecondFactor, SecurityEvent, TrustedBrowser
from twofactor.tests.constants import LOGIN, SECRET
from twofactor.tests.helpers import new_client, sign_in
from twofactor.tests.responses import redirect_target

pytestmark = pytest.mark.database
SUPERUSER = {"is_staff": True, "is_superuser": True}


@pytest.fixture(autouse=True)
def current_request(rf):
    """Give allauth's adapter a request, as its middleware does."""
    with context.request_context(rf.post("/")):
        yield


def delete(user):
    user = User.objects.get(pk=user.pk)
    return deletion.delete(user, SecondFactor.objects.for_user(user))


def test_every_row_of_the_account_and_its_sessions_are_deleted(user, make_user):
    other = make_user("bob@example.com")
    for each in (user, other):
        sign_in(new_client(), each)
        AuthenticatorApp.objects.activate(each, secret=SECRET)
        SecurityEvent.objects.create(user=each, kind="turned_on")
        expires_at = timezone.now() + timedelta(days=1)
        TrustedBrowser.objects.create(user=each, digest=str(each.pk), expires_at=expires_at)
    tables = [User, EmailAddress, UserSession, Session, SecondFactor, AuthenticatorApp, BackupCode, SecurityEvent]
    tables.append(TrustedBrowser)
    before = [model.objects.count() for model in tables]
    assert delete(user)
    assert [2 * model.objects.count() for model in tables] == before
    assert User.objects.get() == other


def test_the_history_of_the_admin_no_longer_names_the_account(user, make_user):
    staff = make_user("staff@example.com", **SUPERUSER)
    users = ContentType.objects.get_for_model(User)
    entry = {"user": staff, "content_type": users, "action_flag": CHANGE}
    own, other = (
        LogEntry.objects.create(object_id=str(each.pk), object_repr=str(each), **entry) for each in (user, staff)
    )
    delete(user)
    own.refresh_from_db()
    other.refresh_from_db()
    assert (own.object_repr, other.object_repr) == (f"user {user.pk}", "staff@example.com")


def test_each_confirmed_address_gets_one_email_after_the_commit(user, emails_to, mailoutbox):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    EmailAddress.objects.create(user=user, email="stranger@example.com", verified=False)
    delete(user)
    assert mailoutbox == []
    for address in (user.email, "second@example.com"):
        (message,) = emails_to(address)
        assert "Your account was deleted" in message.subject
    assert emails_to("stranger@example.com") == []


def test_a_second_deletion_does_nothing(user, emails_to):
    copy = User.objects.get()
    assert delete(user)
    assert not deletion.delete(copy, None)
    assert len(emails_to(user.email)) == 1


# --- When nothing is deleted ----------------------------------------------------------------------


@pytest.mark.parametrize("others", [
    [], [{"is_staff": True}], [{**SUPERUSER, "is_active": False}],
], ids=["alone", "with staff", "with an inactive superuser"])  # fmt: skip
def test_the_last_active_superuser_is_kept(make_user, others):
    chief = make_user("chief@example.com", **SUPERUSER)
    for number, fields in enumerate(others):
        make_user(f"other{number}@example.com", **fields)
    assert deletion.leaves_no_superuser([chief.pk])
    with pytest.raises(deletion.LastSuperuser):
        delete(chief)
    assert User.objects.contains(chief)
    assert EmailAddress.objects.filter(user=chief).exists()


def test_a_superuser_can_go_while_another_one_stays(make_user):
    chief, _ = make_user("chief@example.com", **SUPERUSER), make_user("deputy@example.com", **SUPERUSER)
    assert not deletion.leaves_no_superuser([chief.pk])
    assert delete(chief)


def new_phone(user):
    AuthenticatorApp.objects.activate(User.objects.get(), secret=SECRET)


def new_password(user):
    other = User.objects.get()
    other.set_password("basalt-9-Lantern-heron")
    other.save()


@pytest.mark.parametrize("change", [new_phone, new_password])
@pytest.mark.parametrize("on", [False, True])
def test_a_proof_from_before_a_change_of_2fa_or_of_the_password_deletes_nothing(user, request, change, on):
    if on:
        request.getfixturevalue("second_factor")
    read = User.objects.get()
    second_factor = SecondFactor.objects.for_user(read)
    change(user)
    with pytest.raises(ChangedMeanwhile):
        deletion.delete(read, second_factor)
    assert User.objects.contains(user)
    assert EmailAddress.objects.filter(user=user).exists()


def test_a_deleted_account_is_not_created_again_by_a_parallel_change(user):
    """Django would insert the row again, for example at the end of a password reset."""
    read = User.objects.get()
    delete(user)
    for fields in ({}, {"update_fields": ["full_name"]}):
        with pytest.raises(IntegrityError), transaction.atomic():
            read.save(**fields)
    assert not User.objects.exists()


def test_a_password_reset_during_the_deletion_leads_to_sign_in(user):
    form = ResetPasswordKeyForm({"password1": "basalt-9-Lantern-heron"}, user=User.objects.get())
    assert form.is_valid()
    delete(user)
    with pytest.raises(ImmediateHttpResponse) as raised:
        form.save()
    assert redirect_target(raised.value.response) == LOGIN
    assert not User.objects.exists()
