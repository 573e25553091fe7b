"""The sign-in stage: how a pending sign-in ends, and where the user is redirected."""

import time

import pytest
from django.core.cache import cache

from twofactor.models import Authenticator, PendingSignIn, SecurityEvent
from twofactor.tests.helpers import (
    LOGIN,
    PASSWORD,
    SETTINGS,
    UNKNOWN_BACKUP_CODE,
    VERIFY_LOGIN,
    age_pending_sign_in,
    code_now,
    errors,
    give_password,
    is_signed_in,
    message_levels,
    redirect_target,
    sign_in,
    wrong_code,
)

CANCEL = "/accounts/2fa/cancel-login/"


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field, code", [("code", None), ("backup_code", UNKNOWN_BACKUP_CODE)])
def test_five_wrong_codes_end_the_sign_in_and_notify_the_owner(
    pending_client, user, secret, field, code, backup_codes, emails_to
):
    typed = {field: code or wrong_code(secret)}
    assert [pending_client.post(VERIFY_LOGIN, typed).status_code for _ in range(4)] == [422] * 4
    assert redirect_target(pending_client.post(VERIFY_LOGIN, typed)) == LOGIN
    assert message_levels(pending_client.get(LOGIN)) == ["error"]
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})) == LOGIN
    assert not is_signed_in(pending_client)
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    assert len(emails_to(user.email)) == 1


def test_wrong_codes_are_counted_across_sign_ins(pending_client, user, secret, emails_to):
    for _ in range(4):
        pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    pending_client.post(CANCEL)
    assert not emails_to(user.email)
    give_password(pending_client, user)
    pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    assert len(emails_to(user.email)) == 1


def test_a_secret_that_does_not_open_ends_no_sign_in_and_sends_no_email(
    pending_client, user, secret, backup_codes, settings, emails_to
):
    settings.TWOFACTOR_KEYS = f"test:{'A' * 43}="
    for _ in range(6):
        assert errors(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == {"code": ["unreadable"]}
    assert not SecurityEvent.objects.exists()
    assert not emails_to(user.email)
    pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})
    assert is_signed_in(pending_client)


def test_a_try_during_the_delay_gets_retry_after_and_is_not_charged(pending_client, secret):
    Authenticator.objects.update(failures=5, delayed_until=int(time.time()) + 300)
    response = pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert response.status_code == 429
    assert 295 <= int(response["Retry-After"]) <= 300
    assert errors(response) == {"code": ["delayed"]}
    assert not PendingSignIn.objects.exists()
    assert not is_signed_in(pending_client)


def test_a_flushed_cache_resets_neither_the_delay_nor_the_tries(pending_client, secret):
    for _ in range(4):
        pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    cache.clear()
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})) == LOGIN
    give_password(pending_client, Authenticator.objects.get().user)
    assert pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429


def test_the_failure_that_locks_the_account_notifies_the_owner(pending_client, user, secret, emails_to):
    Authenticator.objects.update(budget_spent=99, budget_began=int(time.time()))
    assert pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)}).status_code == 422
    assert pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429
    assert [event.kind for event in SecurityEvent.objects.all()] == ["locked"]
    assert len(emails_to(user.email)) == 1


# --- What ends a sign-in --------------------------------------------------------------------------


def change_password(user):
    user.set_password("another-9-Long-password")
    user.save()


ENDINGS = {
    "the password changes": change_password,
    "the account is deactivated": lambda user: type(user).objects.update(is_active=False),
    "the account is deleted": lambda user: user.delete(),
    "2FA is turned off": lambda user: Authenticator.objects.for_user(user).turn_off(),
    "2FA moves to a new phone": lambda user: Authenticator.objects.activate(user, secret="B" * 32),
    "new backup codes are made": lambda user: Authenticator.objects.for_user(user).regenerate_backup_codes(),
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_sign_in_ends_when(pending_client, user, secret, ending, method):
    ENDINGS[ending](user)
    response = getattr(pending_client, method)(VERIFY_LOGIN, {"code": code_now(secret)})
    assert redirect_target(response) == LOGIN
    assert pending_client.get(LOGIN).status_code == 200
    assert not is_signed_in(pending_client)


@pytest.mark.parametrize("seconds_ago, is_alive", [(590, True), (601, False)])
def test_the_sign_in_ends_after_ten_minutes(pending_client, secret, seconds_ago, is_alive):
    age_pending_sign_in(pending_client, seconds_ago)
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(pending_client) is is_alive


def test_cancel_ends_the_sign_in(pending_client, secret):
    assert pending_client.get(CANCEL).status_code == 405
    assert redirect_target(pending_client.post(CANCEL)) == LOGIN
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(pending_client)


def test_success_deletes_the_pending_sign_in(pending_client, secret):
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert not PendingSignIn.objects.exists()
    assert "account_login" not in pending_client.session


def test_a_correct_code_sent_twice_in_parallel_creates_no_event(pending_client, parallel_client, secret):
    code = code_now(secret)
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code})) == "/"
    assert redirect_target(parallel_client.post(VERIFY_LOGIN, {"code": code})) == LOGIN
    assert not SecurityEvent.objects.exists()


def test_a_pending_sign_in_is_completed_once(pending_client, parallel_client, secret):
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret, steps_ahead=-1)})) == "/"
    assert redirect_target(parallel_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(parallel_client)


def test_a_correct_code_after_five_wrong_ones_is_refused(pending_client, parallel_client, secret):
    for _ in range(5):
        pending_client.post(VERIFY_LOGIN, {"backup_code": UNKNOWN_BACKUP_CODE})
    assert redirect_target(parallel_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(parallel_client)


# --- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target, expected", [
    ("/accounts/email/", "/accounts/email/"), ("/accounts/2fa/?a=b", "/accounts/2fa/?a=b"),
    ("http://testserver/accounts/email/", "http://testserver/accounts/email/"),
    ("//evil.example/", "/"), ("https://evil.example/", "/"), ("http://localhost/", "/"), ("///evil.example", "/"),
    ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("\x01//evil.example", "/"),
])  # fmt: skip
def test_next_is_kept_and_redirects_to_this_host_only(signed_out_client, user, secret, authenticator, target, expected):
    give_password(signed_out_client, user, next=target)
    assert redirect_target(signed_out_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == expected


def test_next_posted_to_the_stage_does_not_redirect_to_another_host(pending_client, secret):
    response = pending_client.post(
        f"{VERIFY_LOGIN}?next=//evil.example/", {"code": code_now(secret), "next": "//evil.example/"}
    )
    assert redirect_target(response) == "/"


def test_no_other_page_is_accessible_before_the_code(pending_client, user):
    for path in (SETTINGS, "/accounts/email/", "/accounts/password/change/", "/admin/login/", "/accounts/2fa/setup/"):
        assert redirect_target(pending_client.get(path)).startswith(LOGIN)
    assert redirect_target(pending_client.get("/admin/")).startswith("/admin/login/")
    for path in ("setup", "disable", "regenerate-backup-codes", "verify-setup", "cancel-setup"):
        response = pending_client.post(f"/accounts/2fa/{path}/", {"password": PASSWORD})
        assert redirect_target(response).startswith(LOGIN)
    assert Authenticator.objects.for_user(user).codes_left == 10
    assert not is_signed_in(pending_client)


def test_another_user_can_sign_in_after_cancel(pending_client, make_user, secret):
    bob = make_user("bob@example.com")
    pending_client.post(CANCEL)
    sign_in(pending_client, bob)
    assert pending_client.session["_auth_user_id"] == str(bob.pk)
