"""Rules that are the same for all pages of the app, and for all pages that change 2FA."""

import pytest

from twofactor.forms import CodeForm
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.setup_form import VerifySetupForm
from twofactor.tests.constants import (
    ACTIVITY,
    CANCEL_SETUP,
    CODE_PAGES,
    CONFIRM,
    DISABLE,
    DONE,
    LOGIN,
    NOT_ME,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    STATUS,
    STEP_UP_PAGES,
    UNKNOWN_BACKUP_CODE,
    VERIFY_SETUP,
)
from twofactor.tests.helpers import age_second_factor, code_now, new_client, proof, sign_in, start_setup, wrong_code
from twofactor.tests.responses import backup_codes_on, errors, inputs, message_levels, redirect_target
from twofactor.tests.rows import event_kinds

READ_ONLY = [SETTINGS, STATUS, ACTIVITY, DONE]
FORMS = [*CODE_PAGES, VERIFY_SETUP, NOT_ME]
POST_ONLY = [CANCEL_SETUP, "/accounts/2fa/trusted-browsers/1/forget/", "/accounts/2fa/trusted-browsers/forget/"]


@pytest.mark.parametrize("path", [*READ_ONLY, *FORMS, *POST_ONLY])
def test_a_signed_out_user_is_redirected_to_login_and_back(signed_out_client, db, path):
    assert redirect_target(signed_out_client.get(path)) == f"{LOGIN}?next={path}"
    assert redirect_target(signed_out_client.post(path)).startswith(LOGIN)


def test_before_the_code_a_pending_sign_in_gets_no_page(pending_client):
    for path in [*READ_ONLY, *FORMS, "/accounts/email/"]:
        assert redirect_target(pending_client.get(path)).startswith(LOGIN)
        assert redirect_target(pending_client.post(path, {"password": PASSWORD})).startswith(LOGIN)


@pytest.mark.parametrize("paths, methods", [
    (READ_ONLY, ["post", "put"]), (FORMS, ["put", "delete"]), (POST_ONLY, ["get", "put"]),
])  # fmt: skip
def test_other_methods_are_not_allowed(client_with_2fa, paths, methods):
    for path in paths:
        assert [getattr(client_with_2fa, method)(path).status_code for method in methods] == [405, 405]


def test_a_post_without_csrf_token_is_refused(client_with_2fa, secret):
    client_with_2fa.handler.enforce_csrf_checks = True
    for path in [*FORMS, *POST_ONLY]:
        assert client_with_2fa.post(path, proof(secret)).status_code == 403


@pytest.mark.parametrize("path, expected", [(DISABLE, SETTINGS), (REGENERATE, SETTINGS), (CONFIRM, SETUP)])
def test_with_2fa_off_it_redirects(signed_in_client, path, expected):
    assert redirect_target(signed_in_client.get(path)) == expected
    assert redirect_target(signed_in_client.post(path, {"password": PASSWORD})) == expected


@pytest.mark.parametrize("path", STEP_UP_PAGES)
def test_password_and_code_are_both_required(client_with_2fa, secret, path):
    right, wrong = code_now(secret), wrong_code(secret)
    version = SecondFactor.objects.get().version
    for typed, expected in (
        ({}, {"password": ["required"], "code": ["required"]}),
        ({"password": PASSWORD}, {"code": ["required"]}),
        ({"code": right}, {"password": ["required"]}),
        ({"password": "wrong", "code": right}, {"password": ["wrong_password"]}),
        ({"password": PASSWORD, "code": wrong}, {"code": ["wrong"]}),
        ({"password": PASSWORD, "backup_code": UNKNOWN_BACKUP_CODE}, {"backup_code": ["wrong"]}),
    ):
        assert errors(client_with_2fa.post(path, typed)) == expected
    assert SecondFactor.objects.get().version == version
    assert event_kinds() == []
    assert "twofactor_setup" not in client_with_2fa.session


@pytest.mark.parametrize("path", CODE_PAGES)
def test_the_method_decides_which_field_is_shown_and_a_backup_code_is_accepted(client_with_2fa, backup_codes, path):
    age_second_factor(client_with_2fa, 61)
    fields = {"csrfmiddlewaretoken", "password"} - ({"password"} if path == CONFIRM else set())
    assert inputs(client_with_2fa.get(path)).keys() == {*fields, "code"}
    assert inputs(client_with_2fa.get(path, {"method": "backup"})).keys() == {*fields, "backup_code"}
    response = client_with_2fa.post(path, {"password": PASSWORD, "backup_code": backup_codes[0]})
    assert response.status_code in (200, 302)
    assert event_kinds()[0] == "backup_code_used"


# What to post where, and the kind of its event.
CHANGES = {
    "turned_on": lambda client, _: (VERIFY_SETUP, {"code": code_now(start_setup(client))}),
    "phone_changed": lambda client, secret: (
        VERIFY_SETUP,
        {"code": code_now(start_setup(client, code=code_now(secret)))},
    ),
    "codes_regenerated": lambda client, secret: (REGENERATE, proof(secret)),
    "turned_off": lambda client, secret: (DISABLE, proof(secret)),
}
each_change = pytest.mark.parametrize("kind", CHANGES)


@pytest.fixture
def changing_client(kind, user, request):
    """Signed in; 2FA is off before it is turned on, and on before any other change."""
    return request.getfixturevalue("signed_in_client" if kind == "turned_on" else "client_with_2fa")


def version():
    return SecondFactor.objects.values_list("version", flat=True).first()


@each_change
def test_a_change_renews_this_session_ends_the_others_and_notifies_the_owner(
    changing_client, user, secret, kind, emails_to, settings
):
    settings.TWOFACTOR_NEW_BROWSER_EMAIL = False
    other = sign_in(new_client(), user, code=code_now(secret) if version() else "")
    AuthenticatorApp.objects.update(last_time_step=-1)
    key, before = changing_client.session.session_key, version()
    changing_client.post(*CHANGES[kind](changing_client, secret))
    assert version() != before
    assert not changing_client.session.exists(key)
    assert "twofactor_setup" not in changing_client.session  # the key of a finished setup
    assert changing_client.get(SETTINGS).status_code == 200
    assert redirect_target(other.get(SETTINGS)).startswith(LOGIN)
    assert event_kinds() == [kind]
    assert len(emails_to(user.email)) == 1


@each_change
def test_nothing_is_done_if_2fa_changed_meanwhile(changing_client, user, secret, kind, monkeypatch):
    path, typed = CHANGES[kind](changing_client, secret)

    def change_after_the_check(form):
        is_valid = check(form)
        AuthenticatorApp.objects.activate(user, secret="B" * 32)
        return is_valid

    form = VerifySetupForm if path == VERIFY_SETUP else CodeForm
    check = form.is_valid
    monkeypatch.setattr(form, "is_valid", change_after_the_check)
    response = changing_client.post(path, typed)
    assert redirect_target(response) == SETTINGS
    assert not backup_codes_on(response)
    assert AuthenticatorApp.objects.get().secret == "B" * 32
    assert event_kinds() == []
    assert "error" in message_levels(changing_client.get(LOGIN))
