"""What the app adds to allauth's log of a session: the second factor, as allauth.mfa records it."""

from pathlib import Path

import pytest
from allauth.account.authentication import get_authentication_records
from allauth.account.decorators import reauthentication_required
from django.conf import settings as site
from django.test import RequestFactory

from conftest import PASSWORD
from twofactor import reauthentication, testing
from twofactor.tests.helpers import (
    CONFIRM,
    REGENERATE,
    SETUP,
    VERIFY_LOGIN,
    code_now,
    give_password,
    let_pass,
    new_client,
    sign_in,
)

OURS, ALLAUTHS = "/accounts/2fa/reauthenticate/", "/accounts/reauthenticate/"
TYPES = {"code": "totp", "backup_code": "recovery_codes"}


@pytest.fixture
def the_apps_adapter(settings):
    settings.ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"
    settings.ACCOUNT_FORMS = {}


@pytest.fixture
def typed(secret, backup_codes):
    return {"code": code_now(secret), "backup_code": backup_codes[0]}


def request_of(browser, user):
    request = RequestFactory().get("/")
    request.session, request.user = browser.session, user
    return request


def records(browser, user):
    """The records of this session, without their times."""
    found = get_authentication_records(request_of(browser, user), user)
    return [{name: value for name, value in record.items() if name != "at"} for record in found]


def methods(browser, user):
    return [record["method"] for record in records(browser, user)]


# --- What is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", TYPES)
def test_a_sign_in_with_a_code_is_recorded(visitor, user, typed, field):
    give_password(visitor, user)
    visitor.post(VERIFY_LOGIN, {field: typed[field]})
    assert methods(visitor, user) == ["password", "mfa"]
    assert records(visitor, user)[-1] == {"method": "mfa", "type": TYPES[field]}


@pytest.mark.parametrize("field", TYPES)
def test_a_step_up_with_a_code_is_recorded(owner, user, typed, field, the_apps_adapter):
    owner.post(OURS, {"password": PASSWORD, field: typed[field]})
    assert records(owner, user)[-2:] == [
        {"method": "password", "reauthenticated": True},
        {"method": "mfa", "type": TYPES[field], "reauthenticated": True},
    ]


def test_a_step_up_without_a_password_records_none(owner, user, typed, the_apps_adapter):
    user.set_unusable_password()
    user.save()
    testing.sign_in(owner, user)
    owner.post(OURS, {"code": typed["code"]})
    assert records(owner, user) == [{"method": "mfa", "type": "totp", "reauthenticated": True}]


@pytest.mark.parametrize("field", TYPES)
def test_a_step_up_at_the_sites_own_page_is_recorded(owner, user, typed, field):
    owner.post(ALLAUTHS, {"password": PASSWORD, field: typed[field]})
    assert {"method": "mfa", "type": TYPES[field], "reauthenticated": True} in records(owner, user)


def test_a_refused_code_and_a_trusted_browser_are_not_recorded(user, typed, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": "000000"})
    assert methods(browser, user) == ["password"]
    browser.post(VERIFY_LOGIN, {"code": typed["code"], "trust": "on"})
    browser.post("/accounts/logout/")
    sign_in(browser, user)
    assert methods(browser, user) == ["password"]


# --- What it opens: nothing -----------------------------------------------------------------------


def asks_for_a_proof(browser, user):
    """True if allauth's pages and ours ask this session for a proof."""
    request = request_of(browser, user)
    try:
        reauthentication_required(lambda request: None)(request)
    except reauthentication.ReauthenticationRequired:
        return not reauthentication.proved_lately(request)
    return False


def test_a_code_at_sign_in_or_to_confirm_is_no_proof_for_allauths_pages(owner, user, typed):
    assert asks_for_a_proof(owner, user)
    let_pass(owner, 3600)
    owner.post(CONFIRM, {"code": typed["code"]})
    assert asks_for_a_proof(owner, user)


@pytest.mark.parametrize("path", [REGENERATE, SETUP])
def test_neither_is_a_proof_for_a_change_of_2fa(owner, user, typed, path):
    owner.post(path, {"password": PASSWORD, "code": typed["code"]})
    assert asks_for_a_proof(owner, user)


def test_a_second_factor_is_no_fresh_sign_in(rf, user):
    request = rf.get("/")
    request.session, request.user = {}, user
    reauthentication.record_code(request, user, "code", reauthenticated=True)
    assert not reauthentication.signed_in_lately(request)
    reauthentication.record_authentication(request, user, "socialaccount")
    assert reauthentication.signed_in_lately(request)


# --- allauth's private name -----------------------------------------------------------------------


def test_the_private_function_is_where_the_page_on_decisions_says():
    function = reauthentication.record_authentication
    name = f"{function.__module__}.{function.__qualname__}"
    assert name == "allauth.account.internal.flows.login.record_authentication"
    assert f"`{name}`" in (Path(site.BASE_DIR) / "docs" / "decisions.md").read_text()
