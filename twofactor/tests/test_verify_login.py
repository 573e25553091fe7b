"""The sign-in stage: which codes sign in, what the page shows, and what is limited."""

import time

import pytest
from django.utils.encoding import iri_to_uri

from twofactor.models import BackupCode, SecondFactor
from twofactor.tests.constants import CANCEL_LOGIN, LOGIN, SETTINGS, UNKNOWN_BACKUP_CODE, VERIFY_LOGIN
from twofactor.tests.helpers import (
    age_sign_in,
    code_now,
    give_password,
    is_signed_in,
    new_client,
    sign_in,
    wrong_code,
)
from twofactor.tests.responses import errors, inputs, is_full_page, message_levels, messages_on, redirect_target

# --- The page -------------------------------------------------------------------------------------


def test_the_password_starts_a_pending_sign_in(signed_out_client, user, second_factor):
    assert redirect_target(give_password(signed_out_client, user)) == VERIFY_LOGIN
    assert not is_signed_in(signed_out_client)
    assert redirect_target(signed_out_client.get(LOGIN)) == VERIFY_LOGIN


def test_htmx_gets_the_code_form_in_response_to_the_password(user, second_factor, secret):
    response = give_password(client := new_client(htmx=True), user)
    assert not is_full_page(response)
    assert inputs(response).keys() == {"csrfmiddlewaretoken", "sign_in", "code"}
    assert response["HX-Replace-Url"] == VERIFY_LOGIN
    assert errors(client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})) == {"code": ["wrong"]}
    response = client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert (response.status_code, response["HX-Redirect"]) == (204, "/")


def test_the_method_decides_which_field_is_shown_and_the_page_names_the_account(pending_client, user):
    for query, field in (({}, "code"), ({"method": "backup"}, "backup_code")):
        response = pending_client.get(VERIFY_LOGIN, query)
        assert inputs(response).keys() == {"csrfmiddlewaretoken", "sign_in", field}
        assert "autofocus" in inputs(response)[field]
        assert f"<bdi>{user.email}</bdi>" in response.content.decode()
        assert user.get_full_name() not in response.content.decode()


def test_the_session_key_changes_at_the_password_and_at_the_code(signed_out_client, user, secret, second_factor):
    signed_out_client.get(LOGIN)
    keys = [signed_out_client.session.session_key]
    give_password(signed_out_client, user)
    keys.append(signed_out_client.session.session_key)
    signed_out_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert signed_out_client.session.session_key not in keys
    assert keys[0] != keys[1]
    assert not any(signed_out_client.session.exists(key) for key in keys)


# --- Codes ----------------------------------------------------------------------------------------


def test_a_code_signs_in_and_deletes_the_pending_sign_in(pending_client, secret):
    code = code_now(secret)
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": f"{code[:3]} {code[3:]}"})) == "/"
    assert pending_client.get(SETTINGS).status_code == 200
    assert redirect_target(pending_client.get(VERIFY_LOGIN)) == "/"
    assert not {"account_login", "twofactor_sign_in"} & pending_client.session.keys()


def test_a_pending_sign_in_is_completed_once(pending_client, parallel_client, secret):
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret, steps_ahead=-1)})) == "/"
    assert redirect_target(parallel_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(parallel_client)


@pytest.mark.parametrize("left, level, words", [
    (9, "info", "You have 9 left."), (3, "warning", "You have 3 left."),
    (0, "warning", "You used your last backup code."),
])  # fmt: skip
def test_a_backup_code_signs_in_and_the_page_and_an_email_say_how_many_are_left(
    pending_client, user, second_factor, backup_codes, emails_to, left, level, words
):
    for code in backup_codes[left + 1 :]:
        BackupCode.objects.spend(second_factor, code)
    pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0].lower()})
    home = pending_client.get("/")
    assert message_levels(home)[-1] == level
    assert words in messages_on(home)[-1]
    (email,) = emails_to(user.email)
    assert (str(left) if left else "You have no backup codes left. Make new ones now.") in email.body


# --- Limits ---------------------------------------------------------------------------------------


def test_five_wrong_codes_end_the_sign_in(pending_client, backup_codes):
    typed = {"backup_code": UNKNOWN_BACKUP_CODE}
    assert [pending_client.post(VERIFY_LOGIN, typed).status_code for _ in range(5)] == [422, 422, 422, 422, 302]
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"backup_code": backup_codes[0]})) == LOGIN
    assert not is_signed_in(pending_client)


def test_a_try_during_the_delay_gets_retry_after_and_is_not_charged(pending_client, secret):
    SecondFactor.objects.update(failures=5, delayed_until=int(time.time()) + 300)
    response = pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert response.status_code == 429
    assert 295 <= int(response["Retry-After"]) <= 300
    assert not is_signed_in(pending_client)


# --- Ten minutes, cancel, and next ----------------------------------------------------------------


@pytest.mark.parametrize("seconds_ago, is_alive", [(590, True), (601, False)])
def test_the_sign_in_ends_after_ten_minutes(pending_client, secret, seconds_ago, is_alive):
    age_sign_in(pending_client, seconds_ago)
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(pending_client) is is_alive


def test_cancel_ends_the_sign_in_and_another_user_can_sign_in(pending_client, make_user, secret):
    assert pending_client.get(CANCEL_LOGIN).status_code == 405
    assert redirect_target(pending_client.post(CANCEL_LOGIN)) == LOGIN
    assert redirect_target(pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})) == LOGIN
    assert not is_signed_in(pending_client)
    bob = make_user("bob@example.com")
    assert sign_in(pending_client, bob).session["_auth_user_id"] == str(bob.pk)


@pytest.mark.parametrize("target, expected", [
    ("/accounts/2fa/?a=b", "/accounts/2fa/?a=b"),
    ("http://testserver/accounts/email/", "http://testserver/accounts/email/"),
    ("//evil.example/", "/"), ("http://localhost/", "/"), ("/\\evil.example", "/"), ("javascript:alert(1)", "/"),
])  # fmt: skip
def test_next_is_kept_and_redirects_to_this_host_only(signed_out_client, user, secret, second_factor, target, expected):
    give_password(signed_out_client, user, next=target)
    typed = {"code": code_now(secret), "next": "//evil.example/"}
    assert redirect_target(signed_out_client.post(f"{VERIFY_LOGIN}?next=//evil.example/", typed)) == expected


@pytest.mark.parametrize("target", ["abc", "?a=b", "\u0663", "%00"])
def test_next_is_never_read_as_the_name_of_a_url(pending_client, secret, target):
    pending_client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    response = pending_client.get(VERIFY_LOGIN, {"next": target})
    assert redirect_target(response) == iri_to_uri(target)
