"""The second factor in allauth's authentication records, in the form that allauth.mfa uses."""

import time
from pathlib import Path

import pytest
from allauth.account.authentication import get_authentication_records
from allauth.account.decorators import reauthentication_required
from django.test import RequestFactory

from twofactor import reauthentication, testing
from twofactor.tests.constants import CONFIRM, LOGOUT, PASSWORD, REAUTHENTICATE, REGENERATE, SETUP, VERIFY_LOGIN
from twofactor.tests.helpers import age_second_factor, code_now, new_client, sign_in
from twofactor.tests.responses import redirect_target

TYPES = {"code": "totp", "backup_code": "recovery_codes"}


@pytest.fixture
def typed(secret, backup_codes):
    return {"code": code_now(secret), "backup_code": backup_codes[0], "spare_code": backup_codes[1]}


def request_of(browser, user):
    request = RequestFactory().get("/")
    request.session, request.user = browser.session, user
    return request


def records(browser, user):
    """Return the authentication records of the session, without their times."""
    found = get_authentication_records(request_of(browser, user), user)
    return [{name: value for name, value in record.items() if name != "at"} for record in found]


@pytest.mark.parametrize("field", TYPES)
def test_a_code_at_sign_in_and_at_step_up_is_recorded(pending_client, user, typed, field):
    browser = pending_client
    browser.post(VERIFY_LOGIN, {"code": "000000"})
    assert [record["method"] for record in records(browser, user)] == ["password"]
    browser.post(VERIFY_LOGIN, {"backup_code": typed["spare_code"]})
    assert records(browser, user)[1:] == [{"method": "mfa", "type": "recovery_codes"}]
    page = redirect_target(browser.get("/accounts/reauthenticate/"))
    browser.post(page, {"password": PASSWORD, field: typed[field]})
    assert records(browser, user)[2:] == [
        {"method": "password", "reauthenticated": True},
        {"method": "mfa", "type": TYPES[field], "reauthenticated": True},
    ]


def test_a_step_up_without_a_password_records_no_password(user, typed):
    user.set_unusable_password()
    user.save()
    testing.sign_in(browser := new_client(), user)
    browser.post(REAUTHENTICATE, {"code": typed["code"]})
    assert records(browser, user) == [{"method": "mfa", "type": "totp", "reauthenticated": True}]


def test_a_trusted_browser_is_not_recorded(pending_client, user, typed, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    pending_client.post(VERIFY_LOGIN, {"code": typed["code"], "trust": "on"})
    pending_client.post(LOGOUT)
    sign_in(pending_client, user)
    assert [record["method"] for record in records(pending_client, user)] == ["password"]


def requires_step_up(browser, user):
    """Return whether allauth's pages and ours require a step-up from this session."""
    request = request_of(browser, user)
    try:
        reauthentication_required(lambda request: None)(request)
    except reauthentication.ReauthenticationRequired:
        return not reauthentication.stepped_up_recently(request)
    return False


@pytest.mark.parametrize("path", [CONFIRM, REGENERATE, SETUP])
def test_a_code_elsewhere_is_not_a_step_up_for_allauth(client_with_2fa, user, typed, path):
    assert requires_step_up(client_with_2fa, user)
    age_second_factor(client_with_2fa, 3600)
    client_with_2fa.post(path, {"password": PASSWORD, "code": typed["code"]})
    assert requires_step_up(client_with_2fa, user)


@pytest.mark.parametrize("method, more, is_sign_in", [
    ("mfa", {}, False), ("password", {"reauthenticated": True}, False), ("password", {}, True),
    ("socialaccount", {}, True),
])  # fmt: skip
def test_only_a_sign_in_counts_as_a_recent_sign_in(rf, user, method, more, is_sign_in):
    request = rf.get("/")
    request.session, request.user = {}, user
    reauthentication.record_authentication(request, user, method, **more)
    now = time.time()
    assert reauthentication.signed_in_recently(request, now=now + 290) is is_sign_in
    assert not reauthentication.signed_in_recently(request, now=now + 301)


def test_the_private_function_is_the_one_listed_in_docs_decisions():
    function = reauthentication.record_authentication
    name = f"{function.__module__}.{function.__qualname__}"
    assert name == "allauth.account.internal.flows.login.record_authentication"
    assert f"`{name}`" in (Path(reauthentication.__file__).parents[1] / "docs" / "decisions.md").read_text()
