"""The forms of the second factor: fields, words and statuses. What an attempt charges is tested in test_attempts.py."""

import pytest
from django.contrib.auth.models import AnonymousUser

from twofactor import fields, limits
from twofactor.attempts import Attempt
from twofactor.forms import BackupCodeForm, CodeForm
from twofactor.methods import form_for
from twofactor.models import SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import UNKNOWN_BACKUP_CODE, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, wrong_code
from twofactor.tests.responses import error_codes
from twofactor.tests.rows import tries_left, update

PENDING = "a" * 32
OTHER_KEY = f"test:{'A' * 43}="  # under the same ID


class RefusedAttempt(Attempt):
    """An attempt that is refused as the test says."""

    refused: Refused

    def make(self, answer, *, now=None):
        raise self.refused


@pytest.fixture
def bind(request_, second_factor):
    """Bind a form of a pending sign-in to what was typed into its field."""
    request_.user = AnonymousUser()

    def bind(form, typed, attempt=Attempt):
        return form({form.field_name: typed}, attempt=attempt(request_, second_factor, pending_id=PENDING))

    return bind


# --- The method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("query, form", [
    ({}, CodeForm), ({"method": "code"}, CodeForm), ({"method": "backup"}, BackupCodeForm), ({"method": "x"}, CodeForm),
])  # fmt: skip
def test_the_query_chooses_the_form_that_is_shown(rf, second_factor, query, form):
    shown = form_for(request := rf.get("/", query), Attempt(request, second_factor))
    assert type(shown) is form
    assert not shown.is_bound
    assert [other.key for other in shown.others] == [key for key in ("code", "backup") if key != form.key]


@pytest.mark.parametrize("typed, form", [
    ({"code": ""}, CodeForm), ({"backup_code": ""}, BackupCodeForm), ({}, CodeForm),
    ({"code": "", "backup_code": ""}, BackupCodeForm),
])  # fmt: skip
def test_the_posted_field_decides_the_method_and_the_query_does_not(rf, second_factor, typed, form):
    request = rf.post("/?method=backup", typed)
    bound = form_for(request, Attempt(request, second_factor))
    assert type(bound) is form
    assert error_codes(bound) == {form.field_name: ["required"]}


# --- Words and statuses ---------------------------------------------------------------------------


@pytest.mark.parametrize("form, typed, why", [
    (CodeForm, "", "required"), (CodeForm, "12345", "malformed"), (CodeForm, "\ud800" * 6, "malformed"),
    (CodeForm, "1" * 3_000_000, "malformed"), (CodeForm, UNKNOWN_BACKUP_CODE, "backup_code"),
    (CodeForm, UNKNOWN_BACKUP_CODE.replace("-", "\u2009"), "backup_code"),
    (BackupCodeForm, "", "required"), (BackupCodeForm, "7KQ2", "malformed"), (BackupCodeForm, "\0" * 16, "malformed"),
])  # fmt: skip
def test_malformed_input_is_a_field_error_and_not_charged(bind, request_, form, typed, why):
    bound = bind(form, typed)
    assert error_codes(bound) == {form.field_name: [why]}
    assert bound.status == 422
    assert getattr(bound, "has_backup_code", False) is (why == "backup_code")
    assert (SecondFactor.objects.get().failures, limits.sign_in(PENDING).hits, tries_left(request_)) == (0, 0, 20)


@pytest.mark.parametrize("form, why, wait, words", [
    (CodeForm, "wrong", None, "That code isn't right. Wait for the next one and try again."),
    (BackupCodeForm, "wrong", None, "That backup code is wrong or was already used."),
    (CodeForm, "delayed", 91, "Try again in 2 minutes, or use a backup code."),
    (CodeForm, "unreadable", None, "We can't check codes from your app right now. Use a backup code."),
    (BackupCodeForm, "source", 30, "Too many wrong codes from your network. Try again in 30 seconds."),
    (CodeForm, "busy", 1, "We're still checking another code for your account. Try again in a moment."),
    (CodeForm, "signed_out", None, "Too many wrong codes."), (CodeForm, "ended", None, "Too many wrong codes."),
])  # fmt: skip
def test_a_refusal_is_an_error_with_a_status_and_the_time_to_wait(bind, form, why, wait, words):
    bound = bind(form, {CodeForm: "123456", BackupCodeForm: UNKNOWN_BACKUP_CODE}[form], RefusedAttempt)
    bound.attempt.refused = Refused(why, wait)
    assert error_codes(bound) == {form.field_name: [why]}
    assert words in bound.errors[form.field_name][0]
    assert (bound.status, bound.headers) == ((429, {"Retry-After": str(wait)}) if wait else (422, {}))
    assert bound.is_refused(why)


def test_the_fourth_wrong_code_warns_of_the_last_try(bind, secret):
    wrong = [bind(CodeForm, wrong_code(secret)) for _ in range(3)] + [bind(BackupCodeForm, UNKNOWN_BACKUP_CODE)]
    assert [len(error_codes(form)[form.field_name]) for form in wrong] == [1, 1, 1, 2]
    assert wrong[-1].errors["backup_code"][1] == "You have one try left."


def test_a_backup_code_is_accepted_during_the_delay_and_with_an_unreadable_secret(
    bind, second_factor, secret, backup_codes, settings
):
    update(second_factor, failures=5, delayed_until=4_000_000_000)
    assert error_codes(bind(CodeForm, code_now(secret))) == {"code": ["delayed"]}
    settings.TWOFACTOR_KEYS = OTHER_KEY
    assert error_codes(bind(CodeForm, code_now(secret))) == {"code": ["unreadable"]}
    assert bind(BackupCodeForm, backup_codes[0]).is_valid()


@pytest.mark.parametrize("seconds, expected", [
    (1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (3600, "1 hour"), (3601, "61 minutes"), (5401, "2 hours"),
    (172801, "3 days"),
])  # fmt: skip
def test_a_wait_is_rounded_up_to_a_readable_duration(seconds, expected):
    assert fields.in_words(seconds) == expected


# --- Attributes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("days, method, sends_itself", [
    (0, "code", True), (0, "backup", False), (30, "code", False), (30, "backup", False),
])  # fmt: skip
def test_a_form_with_a_checkbox_does_not_submit_itself(pending_client, settings, days, method, sends_itself):
    settings.TWOFACTOR_TRUST_DAYS = days
    form = pending_client.get(VERIFY_LOGIN, {"method": method}).context["form"]
    assert ("trust" in form.fields) is (days > 0)
    assert form.sends_itself is sends_itself


def test_the_code_field_has_attributes_for_phones_and_password_managers(bind):
    attrs = bind(CodeForm, "").fields["code"].widget.attrs
    assert (attrs["autocomplete"], attrs["inputmode"]) == ("one-time-code", "numeric")
    assert "maxlength" not in attrs  # a pasted "123 456" is longer than six characters
