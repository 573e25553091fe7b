"""E-mail addresses: no change of them without password and, where 2FA is on, a code."""

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

EMAIL, REAUTHENTICATE = "/accounts/email/", "/accounts/reauthenticate/"
ADD = {"action_add": "1", "email": "second@example.com"}


@pytest.fixture(params=["plain", "htmx"])
def visitor(request):
    return new_client(htmx=request.param == "htmx")


def test_an_address_is_added_after_the_password(visitor, user, mails_to):
    response = sign_in(visitor, user).post(EMAIL, ADD)
    assert redirect_target(response).startswith(REAUTHENTICATE)
    assert not EmailAddress.objects.filter(email="second@example.com").exists()
    assert set(inputs(visitor.get(redirect_target(response)))) >= {"password"}
    assert redirect_target(visitor.post(redirect_target(response), {"password": PASSWORD})) == EMAIL
    assert not EmailAddress.objects.filter(email="second@example.com").exists()
    visitor.post(EMAIL, ADD)
    assert EmailAddress.objects.get(email="second@example.com").verified is False
    assert "http://testserver/accounts/confirm-email/" in mails_to("second@example.com")[0].body


@pytest.fixture
def owner(visitor, user, authenticator, secret):
    sign_in(visitor, user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    return visitor


@pytest.mark.parametrize("proof, wrong", [
    ({"password": PASSWORD}, {"code": ["required"]}),
    ({"password": PASSWORD, "code": "wrong"}, {"code": ["wrong_code"]}),
    ({"password": "wrong", "code": "right"}, {"password": ["wrong_password"]}),
])  # fmt: skip
def test_with_2fa_on_the_password_alone_changes_no_address(owner, secret, proof, wrong):
    codes = {"right": code_now(secret), "wrong": wrong_code(secret)}
    proof = {name: codes.get(value, value) if name == "code" else value for name, value in proof.items()}
    target = redirect_target(owner.post(EMAIL, ADD))
    assert {"password", "code"} <= set(inputs(owner.get(target)))
    assert errors(owner.post(target, proof)) == wrong
    assert EmailAddress.objects.count() == 1


@pytest.mark.parametrize("by", ["code", "backup_code"])
def test_with_2fa_on_password_and_code_change_it(owner, secret, backup_codes, by):
    target = redirect_target(owner.post(EMAIL, ADD))
    owner.post(target, {"password": PASSWORD, by: backup_codes[0] if by == "backup_code" else code_now(secret)})
    owner.post(EMAIL, ADD)
    assert EmailAddress.objects.count() == 2


@pytest.mark.parametrize("action", ["action_primary", "action_remove"])
def test_making_primary_and_removing_want_the_proof_too(owner, user, action):
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    response = owner.post(EMAIL, {action: "1", "email": "second@example.com"})
    assert redirect_target(response).startswith(REAUTHENTICATE)
    assert EmailAddress.objects.filter(email="second@example.com", primary=False).exists()


def test_a_code_given_at_reauthentication_is_used_up(owner, secret):
    code = code_now(secret, steps_ahead=1)
    owner.post(redirect_target(owner.post(EMAIL, ADD)), {"password": PASSWORD, "code": code})
    response = owner.post("/accounts/2fa/disable/", {"password": PASSWORD, "code": code})
    assert errors(response) == {"code": ["wrong_code"]}


def test_a_backup_code_given_at_reauthentication_is_told_to_the_owner(owner, user, backup_codes, mails_to):
    owner.post(redirect_target(owner.post(EMAIL, ADD)), {"password": PASSWORD, "backup_code": backup_codes[0]})
    assert [event.kind for event in SecurityEvent.objects.all()] == ["backup_code_used"]


def test_a_delayed_code_at_reauthentication_says_when_to_come_back(owner, secret):
    Authenticator.objects.update(failures=9, delayed_until=int(time.time()) + 60)
    response = owner.post(redirect_target(owner.post(EMAIL, ADD)), {"password": PASSWORD, "code": code_now(secret)})
    assert errors(response) == {"code": ["delayed"]}
    assert response.status_code == 429
    assert 55 <= int(response["Retry-After"]) <= 60
    assert Authenticator.objects.get().last_time_step == -1
    assert EmailAddress.objects.count() == 1


def test_a_reauthentication_leads_to_this_site_only(owner, secret):
    response = owner.post(
        f"{REAUTHENTICATE}?next=//evil.example/",
        {"password": PASSWORD, "code": code_now(secret), "next": "//evil.example/"},
    )
    assert "evil" not in redirect_target(response)
