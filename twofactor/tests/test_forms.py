"""The form of the sign-in stage: what a try is charged to, what is refunded, and what is not checked."""

import time

import pytest
from django.contrib.auth.models import AnonymousUser

from twofactor import forms, limits
from twofactor.forms import ConfirmForm, VerifyLoginForm
from twofactor.models import SecondFactor
from twofactor.tests.constants import UNKNOWN_BACKUP_CODE
from twofactor.tests.helpers import code_now, wrong_code
from twofactor.tests.responses import error_codes
from twofactor.tests.rows import tries_left, update

PENDING = "a" * 32
OTHER_KEY = f"test:{'A' * 43}="  # under the same ID


@pytest.fixture
def login_form(request_, user, second_factor):
    request_.user = AnonymousUser()

    def bind(**typed):
        method = "backup" if "backup_code" in typed else "code"
        return VerifyLoginForm(typed, request=request_, second_factor=second_factor, method=method, pending_id=PENDING)

    return bind


def charges(request):
    """Return the failures of the account, the tries of the pending sign-in, and those of the source. Uses them up."""
    return SecondFactor.objects.get().failures, limits.sign_in(PENDING).hits, 20 - tries_left(request)


# --- What is charged ------------------------------------------------------------------------------


def test_a_correct_code_is_valid_and_not_charged(login_form, request_, secret):
    assert login_form(code=code_now(secret)).is_valid()
    assert charges(request_) == (0, limits.COMPLETED, 0)


def test_a_wrong_code_is_charged_to_account_sign_in_and_source(login_form, request_, secret):
    form = login_form(code=wrong_code(secret))
    assert error_codes(form) == {"code": ["wrong_code"]}
    assert (form.status, form.headers) == (422, {})
    assert charges(request_) == (1, 1, 1)


def test_a_wrong_backup_code_is_not_charged_to_the_account(login_form, request_):
    assert error_codes(login_form(backup_code=UNKNOWN_BACKUP_CODE)) == {"backup_code": ["wrong_backup_code"]}
    assert charges(request_) == (0, 1, 1)


@pytest.mark.parametrize("field, typed, why", [
    ("code", "", "required"), ("code", "12345", "malformed"), ("code", "\ud800" * 6, "malformed"),
    ("code", "1" * 3_000_000, "malformed"), ("code", UNKNOWN_BACKUP_CODE, "backup_code"),
    ("code", UNKNOWN_BACKUP_CODE.replace("-", "\u2009"), "backup_code"),
    ("backup_code", "", "required"), ("backup_code", "7KQ2", "malformed"), ("backup_code", "\0" * 16, "malformed"),
])  # fmt: skip
def test_malformed_input_is_a_field_error_and_not_charged(login_form, request_, field, typed, why):
    form = login_form(**{field: typed})
    assert error_codes(form) == {field: [why]}
    assert form.status == 422
    assert form.has_backup_code is (why == "backup_code")
    assert charges(request_) == (0, 0, 0)


# --- What is not checked --------------------------------------------------------------------------


def test_during_the_delay_nothing_is_charged_and_retry_after_is_set(login_form, request_, second_factor, secret):
    update(second_factor, failures=5, delayed_until=int(time.time()) + 60)
    form = login_form(code=code_now(secret))
    assert error_codes(form) == {"code": ["delayed"]}
    assert form.status == 429
    assert 58 <= int(form.headers["Retry-After"]) <= 60
    assert charges(request_) == (5, 0, 0)


def test_while_another_code_is_checked_nothing_is_charged(login_form, request_, secret):
    form = login_form(code=code_now(secret))
    SecondFactor.objects.update(failures=1)  # by another request, after this one has read the row
    assert error_codes(form) == {"code": ["busy"]}
    assert (form.status, form.headers) == (429, {"Retry-After": "1"})
    assert "Try again in a moment." in form.errors["code"][0]
    assert charges(request_) == (1, 0, 0)


def test_a_sign_in_that_another_request_completed_is_not_completed_again(login_form, secret, backup_codes):
    assert login_form(code=code_now(secret)).is_valid()
    assert error_codes(login_form(backup_code=backup_codes[0])) == {"backup_code": ["ended"]}
    assert SecondFactor.objects.get().codes_left == 10


def test_a_backup_code_is_accepted_during_the_delay(login_form, backup_codes):
    SecondFactor.objects.update(failures=5, delayed_until=int(time.time()) + 60)
    assert login_form(backup_code=backup_codes[0]).is_valid()


def test_an_unreadable_secret_is_not_charged_and_suggests_a_backup_code(
    login_form, request_, secret, backup_codes, settings
):
    settings.TWOFACTOR_KEYS = OTHER_KEY
    form = login_form(code=code_now(secret))
    assert error_codes(form) == {"code": ["unreadable"]}
    assert form.errors["code"] == ["Codes from your app can't be checked right now. Use a backup code."]
    assert (form.status, form.headers) == (422, {})
    assert login_form(backup_code=backup_codes[0]).is_valid()
    assert charges(request_) == (0, limits.COMPLETED, 0)


def test_the_fourth_wrong_code_of_a_sign_in_warns_of_the_last_try(login_form, secret):
    forms = [login_form(code=wrong_code(secret)) for _ in range(3)] + [login_form(backup_code=UNKNOWN_BACKUP_CODE)]
    assert [len(error_codes(form)[form.field_name]) for form in forms] == [1, 1, 1, 2]
    assert forms[-1].errors["backup_code"][1] == "You have one try left."


def test_the_fourth_wrong_code_in_a_session_warns_of_the_last_try(request_, user, second_factor, secret):
    def bind(**typed):
        return error_codes(ConfirmForm(typed, request=request_, second_factor=second_factor))["code"]

    assert [bind(code=wrong_code(secret)) for _ in range(4)] == [["wrong_code"]] * 3 + [["wrong_code", "last_try"]]


def test_after_five_tries_a_correct_backup_code_is_not_checked(login_form, request_, backup_codes):
    for _ in range(5):
        assert error_codes(login_form(backup_code=UNKNOWN_BACKUP_CODE))["backup_code"][0] == "wrong_backup_code"
    assert error_codes(login_form(backup_code=backup_codes[0])) == {"backup_code": ["ended"]}
    assert SecondFactor.objects.get().codes_left == 10
    assert charges(request_) == (0, 5, 5)


# --- The source -----------------------------------------------------------------------------------


def test_retry_after_of_a_source_is_the_time_left(login_form, request_, secret, monkeypatch):
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: now)
    tries_left(request_)
    monkeypatch.setattr(time, "time", lambda: now + 570.5)
    form = login_form(code=code_now(secret))
    assert error_codes(form) == {"code": ["source"]}
    assert form.headers == {"Retry-After": "30"}
    assert "Try again in 30 seconds." in form.errors["code"][0]


@pytest.mark.parametrize("field", ["code", "backup_code"])
def test_a_source_is_limited_to_twenty_wrong_codes(login_form, request_, secret, backup_codes, field):
    assert tries_left(request_) == 20
    form = login_form(**{field: {"code": code_now(secret), "backup_code": backup_codes[0]}[field]})
    assert error_codes(form) == {field: ["source"]}
    assert form.status == 429
    assert 590 <= int(form.headers["Retry-After"]) <= 600
    assert limits.sign_in(PENDING).hits == 0
    row = SecondFactor.objects.get()
    assert (row.failures, row.last_time_step, row.codes_left) == (0, -1, 10)


@pytest.mark.parametrize("one, other, same", [
    ("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::ffff:1", True),
    ("2001:db8::1", "2001:db8:0:1::1", False),
])  # fmt: skip
def test_a_source_is_an_ipv4_address_or_an_ipv6_64_network(rf, db, one, other, same):
    assert tries_left(rf.post("/", REMOTE_ADDR=one)) == 20
    assert tries_left(rf.post("/", REMOTE_ADDR=other)) == (0 if same else 20)


def test_a_forged_forwarding_header_does_not_change_the_source(rf, db):
    assert tries_left(rf.post("/")) == 20
    assert tries_left(rf.post("/", headers={"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7"})) == 0


# --- Texts and attributes -------------------------------------------------------------------------


@pytest.mark.parametrize("days, field, sends_itself", [
    (0, "code", True), (0, "backup_code", False), (30, "code", False), (30, "backup_code", False),
])  # fmt: skip
def test_a_form_with_a_checkbox_does_not_submit_itself(login_form, settings, days, field, sends_itself):
    settings.TWOFACTOR_TRUST_DAYS = days
    form = login_form(**{field: ""})
    assert ("trust" in form.fields) is (days > 0)
    assert form.sends_itself is sends_itself


@pytest.mark.parametrize("seconds, expected", [
    (1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (5401, "2 hours"), (172801, "3 days"),
])  # fmt: skip
def test_a_wait_is_rounded_up_to_a_readable_duration(seconds, expected):
    assert forms.in_words(seconds) == expected


def test_the_code_field_has_attributes_for_phones_and_password_managers(login_form):
    attrs = login_form(code="").fields["code"].widget.attrs
    assert (attrs["autocomplete"], attrs["inputmode"]) == ("one-time-code", "numeric")
    assert "maxlength" not in attrs  # a pasted "123 456" is longer than six characters
