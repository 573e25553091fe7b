"""Email addresses: every change requires step-up, with the password and, while 2FA is on, a code."""

import time

import pytest
from allauth.account.models import EmailAddress

from conftest import PASSWORD
from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    code_now,
    errors,
    inputs,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)

EMAIL, REAUTHENTICATE = "/accounts/email/", "/accounts/2fa/reauthenticate/"
ADD = {"action_add": "1", "email": "second@example.com"}


@pytest.fixture(params=["plain", "htmx"])
def anonymous_client(request):
    return new_client(htmx=request.param == "htmx")


def test_adding_an_address_requires_the_password(anonymous_client, user, emails_to):
    response = sign_in(anonymous_client, user).post(EMAIL, ADD)
    assert redirect_target(response).startswith(REAUTHENTICATE)
    assert not EmailAddress.objects.filter(email="second@example.com").exists()
    assert set(inputs(anonymous_client.get(redirect_target(response)))) >= {"password"}
    assert redirect_target(anonymous_client.post(redirect_target(response), {"password": PASSWORD})) == EMAIL
    assert not EmailAddress.objects.filter(email="second@example.com").exists()
    anonymous_client.post(EMAIL, ADD)
    assert EmailAddress.objects.get(email="second@example.com").verified is False
    assert "http://testserver/accounts/confirm-email/" in emails_to("second@example.com")[0].body


@pytest.fixture
def client_with_2fa(anonymous_client, user, authenticator, secret):
    sign_in(anonymous_client, user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    return anonymous_client


@pytest.mark.parametrize("proof, expected", [
    ({"password": PASSWORD}, {"code": ["required"]}),
    ({"password": PASSWORD, "code": "wrong"}, {"code": ["wrong_code"]}),
    ({"password": "wrong", "code": "right"}, {"password": ["wrong_password"]}),
])  # fmt: skip
def test_adding_an_address_requires_a_valid_code_while_2fa_is_on(client_with_2fa, secret, proof, expected):
    codes = {"right": code_now(secret), "wrong": wrong_code(secret)}
    proof = {name: codes.get(value, value) if name == "code" else value for name, value in proof.items()}
    target = redirect_target(client_with_2fa.post(EMAIL, ADD))
    assert {"password", "code"} <= set(inputs(client_with_2fa.get(target)))
    assert errors(client_with_2fa.post(target, proof)) == expected
    assert EmailAddress.objects.count() == 1


@pytest.mark.parametrize("field", ["code", "backup_code"])
def test_password_and_code_allow_adding_an_address(client_with_2fa, secret, backup_codes, field):
    target = redirect_target(client_with_2fa.post(EMAIL, ADD))
    code = backup_codes[0] if field == "backup_code" else code_now(secret)
    client_with_2fa.post(target, {"password": PASSWORD, field: code})
    client_with_2fa.post(EMAIL, ADD)
    assert EmailAddress.objects.count() == 2


@pytest.mark.parametrize("action", ["action_primary", "action_remove"])
def test_making_primary_and_removing_require_step_up(client_with_2fa, user, action):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    response = client_with_2fa.post(EMAIL, {action: "1", "email": "second@example.com"})
    assert redirect_target(response).startswith(REAUTHENTICATE)
    assert EmailAddress.objects.filter(email="second@example.com", primary=False).exists()


def test_step_up_uses_up_the_code(client_with_2fa, secret):
    code = code_now(secret, steps_ahead=1)
    client_with_2fa.post(redirect_target(client_with_2fa.post(EMAIL, ADD)), {"password": PASSWORD, "code": code})
    response = client_with_2fa.post("/accounts/2fa/disable/", {"password": PASSWORD, "code": code})
    assert errors(response) == {"code": ["wrong_code"]}


def test_a_backup_code_used_at_step_up_is_recorded(client_with_2fa, user, backup_codes, emails_to):
    target = redirect_target(client_with_2fa.post(EMAIL, ADD))
    client_with_2fa.post(target, {"password": PASSWORD, "backup_code": backup_codes[0]})
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]


def test_a_delayed_code_at_step_up_gets_status_429_and_retry_after(client_with_2fa, secret):
    Authenticator.objects.update(failures=9, delayed_until=int(time.time()) + 60)
    target = redirect_target(client_with_2fa.post(EMAIL, ADD))
    response = client_with_2fa.post(target, {"password": PASSWORD, "code": code_now(secret)})
    assert errors(response) == {"code": ["delayed"]}
    assert response.status_code == 429
    assert 55 <= int(response["Retry-After"]) <= 60
    assert Authenticator.objects.get().last_time_step == -1
    assert EmailAddress.objects.count() == 1


def test_step_up_redirects_only_to_this_site(client_with_2fa, secret):
    response = client_with_2fa.post(
        f"{REAUTHENTICATE}?next=//evil.example/",
        {"password": PASSWORD, "code": code_now(secret), "next": "//evil.example/"},
    )
    assert "evil" not in redirect_target(response)
