"""A new method of the second factor: its class in METHODS is all that the pages need."""

import pytest
from allauth.account.authentication import get_authentication_records
from django import forms

from twofactor.forms import SecondFactorForm
from twofactor.methods import METHODS, SENSITIVE_FIELDS
from twofactor.tests.constants import CODE_PAGES, PASSWORD, REAUTHENTICATE, VERIFY_LOGIN
from twofactor.tests.helpers import age_second_factor
from twofactor.tests.responses import errors, inputs, method_links


class PinForm(SecondFactorForm):
    key = "pin"
    field_name = "pin_digits"
    title = link = "Use your PIN"
    hint = "Four digits."
    template_name = "twofactor/_field.html"
    allauth_type = "pin"
    error_messages = {**SecondFactorForm.error_messages, "wrong": "That is not your PIN."}

    def make_field(self):
        return forms.CharField(help_text=self.hint)

    def check(self, *, now):
        return self.cleaned_data["pin_digits"] == "1234"


def test_no_field_of_a_method_is_in_error_reports():
    fields = {"password", "code", "backup_code", "credential", "ceremony"}
    assert fields == set(SENSITIVE_FIELDS)


@pytest.fixture(autouse=True)
def pin(monkeypatch):
    monkeypatch.setitem(METHODS, PinForm.key, PinForm)


def test_every_page_links_to_a_new_method_and_shows_its_field(client_with_2fa):
    age_second_factor(client_with_2fa, 3600)
    for path in CODE_PAGES:
        assert f"{path}?method=pin" in method_links(client_with_2fa.get(path))
        page = client_with_2fa.get(path, {"method": "pin"})
        assert inputs(page).keys() - {"csrfmiddlewaretoken", "password"} == {"pin_digits"}
        assert method_links(page) == [f"{path}?method={key}" for key in ("code", "backup")]
        assert b"Four digits." in page.content


def test_a_new_method_signs_in_and_its_key_is_recorded(pending_client, user, rf):
    assert errors(pending_client.post(VERIFY_LOGIN, {"pin_digits": "0000"})) == {"pin_digits": ["wrong"]}
    pending_client.post(VERIFY_LOGIN, {"pin_digits": "1234"})
    assert pending_client.session["twofactor"]["method"] == "pin"
    pending_client.post(REAUTHENTICATE, {"password": PASSWORD, "pin_digits": "1234"})
    request = rf.get("/")
    request.session, request.user = pending_client.session, user
    types = [record.get("type") for record in get_authentication_records(request, user)]
    assert types == [None, "pin", None, "pin"]  # after the password each time
