"""The step-up form and the form that verifies a setup."""

import pytest
from django import forms
from django.contrib.sessions.backends.db import SessionStore

from twofactor import enrolment, limits
from twofactor.base_forms import FocusFirstError
from twofactor.models import SecondFactor
from twofactor.setup_form import VerifySetupForm
from twofactor.tests.constants import NOW, PASSWORD
from twofactor.tests.helpers import code_now, wrong_code
from twofactor.tests.responses import error_codes
from twofactor.tests.rows import tries_left
from twofactor.views import form_page


@pytest.fixture
def proof_form(request_, second_factor):
    """Bind the step-up form to what was typed. Without a code or backup code, 2FA is off."""

    def bind(**typed):
        request_.POST = typed
        return form_page.proof_form(request_, second_factor if {"code", "backup_code"} & typed.keys() else None)

    return bind


@pytest.fixture
def unhashed(user, monkeypatch):
    monkeypatch.setattr(type(user), "check_password", lambda *args: pytest.fail("hashed"))


def test_the_password_is_a_step_up_with_a_code_or_a_backup_code_if_2fa_is_on(proof_form, secret, backup_codes):
    assert proof_form(password=PASSWORD, code=code_now(secret)).is_valid()
    assert proof_form(password=PASSWORD, backup_code=backup_codes[0]).is_valid()
    assert list(proof_form(password="").fields) == ["password"]
    assert proof_form(password=PASSWORD).is_valid()


@pytest.mark.parametrize("password, why", [("", "required"), ("no", "wrong_password"), ("x" * 129, "wrong_password")])
def test_a_code_is_not_checked_without_the_password(proof_form, secret, backup_codes, password, why):
    assert error_codes(proof_form(password=password, code=code_now(secret))) == {"password": [why]}
    assert error_codes(proof_form(password=password, backup_code=backup_codes[0])) == {"password": [why]}
    row = SecondFactor.objects.get()
    assert (row.failures, row.app.last_time_step, row.codes_left) == (0, -1, 10)


@pytest.mark.parametrize("typed", [{"code": ""}, {"code": "12"}, {"backup_code": ""}])
def test_a_password_is_not_hashed_without_a_code(proof_form, unhashed, typed):
    assert not proof_form(password=PASSWORD, **typed).is_valid()


def test_a_password_that_is_too_long_is_not_hashed(proof_form, unhashed, secret):
    assert not proof_form(password="x" * 3_000_000, code=code_now(secret)).is_valid()


def test_a_password_is_not_stripped(proof_form, user):
    user.set_password(" spaces at both ends ")
    assert proof_form(password=" spaces at both ends ").is_valid()
    assert not proof_form(password="spaces at both ends").is_valid()


@pytest.mark.parametrize("field", ["code", "backup_code", "password"])
def test_no_field_renders_the_submitted_value(proof_form, field):
    method = {"backup_code": ""} if field == "backup_code" else {}
    form = proof_form(**{"password": "secret-thing", **method, field: "secret-thing"})
    assert not form.is_valid()
    assert "secret-thing" not in form.as_div()


@pytest.mark.parametrize("password, make_code, field", [
    ("wrong", code_now, "password"), ("", lambda secret: "", "password"), (PASSWORD, wrong_code, "code"),
])  # fmt: skip
def test_the_first_invalid_field_has_autofocus_and_aria_invalid(proof_form, secret, password, make_code, field):
    form = proof_form(password=password, code=make_code(secret))
    assert not form.is_valid()
    assert fields_with_autofocus(form) == [field]
    assert 'aria-invalid="true"' in str(form[field])


def fields_with_autofocus(form):
    return [name for name, field in form.fields.items() if field.widget.attrs.get("autofocus")]


def test_an_error_of_the_whole_form_leaves_the_focus_to_the_password():
    class Form(FocusFirstError):
        name = forms.CharField()
        password = forms.CharField(widget=forms.PasswordInput)

        def clean(self):
            raise forms.ValidationError("too late")

    form = Form({"name": "Ada", "password": PASSWORD})
    assert not form.is_valid()
    assert fields_with_autofocus(form) == ["password"]


@pytest.mark.parametrize("query, fields", [
    ({"method": "code"}, ["code"]), ({"method": "backup"}, ["backup_code"]), ({}, []),
])  # fmt: skip
def test_the_field_of_the_chosen_method_has_autofocus(rf, user, second_factor, query, fields):
    request = rf.get("/", query)
    request.user = user
    assert fields_with_autofocus(form_page.proof_form(request, second_factor)) == fields


@pytest.fixture
def setup_form(request_, secret):
    request_.session = SessionStore()
    request_.session["twofactor_setup"] = {"sealed": "the sealed secret"}
    setup = enrolment.Setup(secret, replaces="")
    return lambda code: VerifySetupForm({"code": code}, request=request_, setup=setup, now=NOW)


@pytest.mark.parametrize("steps_off", [-1, 0, 1])
def test_a_correct_code_of_a_setup_has_its_time_step(setup_form, request_, code_at, steps_off):
    form = setup_form(code_at(NOW + 30 * steps_off))
    assert form.is_valid()
    assert form.time_step == NOW // 30 + steps_off
    assert tries_left(request_) == 20


@pytest.mark.parametrize("seconds, expected", [
    (60, "Your phone's clock is 60 seconds ahead."), (-300, "Your phone's clock is 5 minutes behind."),
    (86400, "That code isn't right."),
])  # fmt: skip
def test_the_error_of_a_setup_has_the_clock_offset(setup_form, code_at, seconds, expected):
    form = setup_form(code_at(NOW + seconds))
    assert error_codes(form) == {"code": ["wrong"]}
    assert form.errors["code"][0].startswith(expected)
    assert form.status == 422


def test_a_setup_checks_five_codes_even_if_the_session_is_reset(setup_form, request_, code_at):
    for why in ["wrong"] * 4 + ["ended"]:
        assert error_codes(setup_form(code_at(NOW + 3600))) == {"code": [why]}
    assert "twofactor_setup" not in request_.session
    request_.session["twofactor_setup"] = {"sealed": "the sealed secret"}
    assert error_codes(setup_form(code_at(NOW))) == {"code": ["ended"]}
    assert tries_left(request_) == 20 - 6


@pytest.mark.parametrize("typed", ["", "12345", "\ud800" * 6, "1" * 3_000_000])
def test_a_malformed_code_of_a_setup_is_not_charged(setup_form, request_, typed):
    assert not setup_form(typed).is_valid()
    assert limits.setup("the sealed secret").left() == 5
    assert tries_left(request_) == 20


def test_the_limit_of_the_source_applies_to_a_setup(setup_form, request_, code_at):
    assert tries_left(request_) == 20
    form = setup_form(code_at(NOW))
    assert error_codes(form) == {"code": ["source"]}
    assert form.status == 429
