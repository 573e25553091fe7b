"""The sign-in stage: how it ends, by limits, by changes, by success, and where it leads then."""

import time

import pytest
from django.core.cache import cache

from conftest import PASSWORD
from twofactor.models import Authenticator, PendingSignIn, SecurityEvent
from twofactor.tests.helpers import (
    LOGIN,
    SETTINGS,
    UNKNOWN_BACKUP_CODE,
    VERIFY_LOGIN,
    code_now,
    errors,
    give_password,
    is_signed_in,
    leads_to,
    let_sign_in_age,
    message_levels,
    sign_in,
    wrong_code,
)

CANCEL = "/accounts/2fa/cancel-login/"


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field, code", [("code", None), ("backup_code", UNKNOWN_BACKUP_CODE)])
def test_after_five_wrong_codes_the_sign_in_is_over_and_the_owner_told(
    pending, user, secret, field, code, backup_codes, mails_to
):
    typed = {field: code or wrong_code(secret)}
    assert [pending.post(VERIFY_LOGIN, typed).status_code for _ in range(4)] == [422] * 4
    assert leads_to(pending.post(VERIFY_LOGIN, typed)) == LOGIN
    assert message_levels(pending.get(LOGIN)) == ["error"]
    assert leads_to(pending.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})) == LOGIN
    assert not is_signed_in(pending)
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    assert len(mails_to(user.email)) == 1


def test_wrong_codes_over_several_sign_ins_are_told_too(pending, user, secret, mails_to):
    for _ in range(4):
        pending.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    pending.post(CANCEL)
    assert not mails_to(user.email)
    give_password(pending, user)
    pending.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert [event.kind for event in SecurityEvent.objects.all()] == ["wrong_codes"]
    assert len(mails_to(user.email)) == 1


def test_a_secret_that_does_not_open_ends_no_sign_in_and_alarms_nobody(
    pending, user, secret, backup_codes, settings, mails_to
):
    settings.TWOFACTOR_KEYS = f"test:{'A' * 43}="
    for _ in range(6):
        assert errors(pending.post(VERIFY_LOGIN, {"code": code_now(secret)})) == {"code": ["unreadable"]}
    assert not SecurityEvent.objects.exists()
    assert not mails_to(user.email)
    pending.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})
    assert is_signed_in(pending)


def test_a_delayed_try_says_when_to_come_back_and_costs_nothing(pending, secret):
    Authenticator.objects.update(failures=5, delayed_until=int(time.time()) + 300)
    response = pending.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert response.status_code == 429
    assert 295 <= int(response["Retry-After"]) <= 300
    assert errors(response) == {"code": ["delayed"]}
    assert not PendingSignIn.objects.exists()
    assert not is_signed_in(pending)


def test_a_flushed_cache_forgets_neither_the_delay_nor_the_tries(pending, secret):
    for _ in range(4):
        pending.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    cache.clear()
    assert leads_to(pending.post(VERIFY_LOGIN, {"code": wrong_code(secret)})) == LOGIN
    give_password(pending, Authenticator.objects.get().user)
    assert pending.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429


def test_the_failure_that_locks_is_told(pending, user, secret, mails_to):
    Authenticator.objects.update(budget_spent=99, budget_began=int(time.time()))
    assert pending.post(VERIFY_LOGIN, {"code": wrong_code(secret)}).status_code == 422
    assert pending.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429
    assert [event.kind for event in SecurityEvent.objects.all()] == ["locked"]
    assert len(mails_to(user.email)) == 1


# --- What ends it ---------------------------------------------------------------------------------


def change_password(user):
    user.set_password("another-9-Long-password")
    user.save()


ENDINGS = {
    "the password changes": change_password,
    "the account is closed": lambda user: type(user).objects.update(is_active=False),
    "the account is deleted": lambda user: user.delete(),
    "2FA is turned off": lambda user: Authenticator.objects.for_user(user).turn_off(),
    "2FA moves to a new phone": lambda user: Authenticator.objects.activate(user, secret="B" * 32),
    "new backup codes are made": lambda user: Authenticator.objects.for_user(user).regenerate_backup_codes(),
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_sign_in_is_over_when(pending, user, secret, ending, method):
    ENDINGS[ending](user)
    response = getattr(pending, method)(VERIFY_LOGIN, {"code": code_now(secret)})
    assert leads_to(response) == LOGIN
    assert pending.get(LOGIN).status_code == 200
    assert not is_signed_in(pending)


@pytest.mark.parametrize("seconds_ago, lives", [(590, True), (601, False)])
def test_the_sign_in_is_over_after_ten_minutes(pending, secret, seconds_ago, lives):
    let_sign_in_age(pending, seconds_ago)
    pending.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(pending) is lives


def test_cancel_ends_it(pending, secret):
    assert pending.get(CANCEL).status_code == 405
    assert leads_to(pending.post(CANCEL)) == LOGIN
    assert leads_to(pending.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(pending)


def test_success_leaves_nothing_of_it_behind(pending, secret):
    pending.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert not PendingSignIn.objects.exists()
    assert "account_login" not in pending.session


def test_a_right_code_sent_twice_at_once_is_no_five_wrong_ones(pending, twin, secret):
    code = code_now(secret)
    assert leads_to(pending.post(VERIFY_LOGIN, {"code": code})) == "/"
    assert leads_to(twin.post(VERIFY_LOGIN, {"code": code})) == LOGIN
    assert not SecurityEvent.objects.exists()


def test_one_sign_in_is_let_in_once(pending, twin, secret):
    assert leads_to(pending.post(VERIFY_LOGIN, {"code": code_now(secret, steps_ahead=-1)})) == "/"
    assert leads_to(twin.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(twin)


def test_a_sign_in_that_is_used_up_is_not_let_in_by_a_right_code(pending, twin, secret):
    for _ in range(5):
        pending.post(VERIFY_LOGIN, {"backup_code": UNKNOWN_BACKUP_CODE})
    assert leads_to(twin.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(twin)


# --- Where it leads -------------------------------------------------------------------------------


@pytest.mark.parametrize("target, leads", [
    ("/accounts/email/", "/accounts/email/"), ("/accounts/2fa/?a=b", "/accounts/2fa/?a=b"),
    ("http://testserver/accounts/email/", "http://testserver/accounts/email/"),
    ("//evil.example/", "/"), ("https://evil.example/", "/"), ("http://localhost/", "/"), ("///evil.example", "/"),
    ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("\x01//evil.example", "/"),
])  # fmt: skip
def test_next_survives_the_stage_and_leads_to_this_very_host_only(visitor, user, secret, authenticator, target, leads):
    give_password(visitor, user, next=target)
    assert leads_to(visitor.post(VERIFY_LOGIN, {"code": code_now(secret)})) == leads


def test_next_given_to_the_stage_itself_leads_nowhere_else(pending, secret):
    response = pending.post(
        f"{VERIFY_LOGIN}?next=//evil.example/", {"code": code_now(secret), "next": "//evil.example/"}
    )
    assert leads_to(response) == "/"


def test_nothing_is_open_while_a_code_is_owed(pending, user):
    for path in (SETTINGS, "/accounts/email/", "/accounts/password/change/", "/admin/login/", "/accounts/2fa/setup/"):
        assert leads_to(pending.get(path)).startswith(LOGIN)
    assert leads_to(pending.get("/admin/")).startswith("/admin/login/")
    for path in ("setup", "disable", "regenerate-backup-codes", "verify-setup", "cancel-setup"):
        response = pending.post(f"/accounts/2fa/{path}/", {"password": PASSWORD})
        assert leads_to(response).startswith(LOGIN)
    assert Authenticator.objects.for_user(user).codes_left == 10
    assert not is_signed_in(pending)


def test_whoever_starts_again_gets_a_sign_in_of_their_own(pending, make_user, secret):
    bob = make_user("bob@example.com")
    pending.post(CANCEL)
    sign_in(pending, bob)
    assert pending.session["_auth_user_id"] == str(bob.pk)
