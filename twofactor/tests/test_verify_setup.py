"""Step 2 and step 3: the first code turns 2FA on, and the backup codes are shown once."""

import re

import pytest

from conftest import PASSWORD
from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    backup_codes_on,
    code_now,
    errors,
    give_password,
    inputs,
    is_signed_in,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
    wrong_code,
)


def begin(client, **proof):
    """Go through step 1; return the key."""
    response = client.post(SETUP, {"password": PASSWORD, **proof})
    return response.context["key"].replace(" ", "")


def turn_on(client):
    key = begin(client)
    response = client.post(VERIFY_SETUP, {"code": code_now(key)})
    return key, response


# --- Step 2 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_setup_under_way_it_leads_back_to_the_start(signed_in_client, method):
    assert redirect_target(getattr(signed_in_client, method)(VERIFY_SETUP, {"code": "123456"})) == SETUP


def test_it_asks_for_one_code_and_shows_no_key(signed_in_client):
    key = begin(signed_in_client)
    response = signed_in_client.get(VERIFY_SETUP)
    assert response.status_code == 200
    assert set(inputs(response)) == {"csrfmiddlewaretoken", "code"}
    assert inputs(response)["code"]["autocomplete"] == "one-time-code"
    assert key[:4] + " " + key[4:8] not in response.content.decode()


@pytest.mark.parametrize(
    "typed, why", [("", "required"), ("12345", "malformed"), ("¹²³⁴⁵⁶", "malformed"), ("\0", "malformed")]
)
def test_what_cannot_be_a_code_turns_nothing_on_and_costs_no_try(signed_in_client, typed, why):
    begin(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": typed})
    assert response.status_code == 422
    assert set(errors(response)) == {"code"}
    assert inputs(response)["code"]["aria-invalid"] == "true"
    assert signed_in_client.session["twofactor_setup"]["tries"] == 0
    assert not Authenticator.objects.exists()


def test_a_wrong_code_turns_nothing_on(signed_in_client):
    key = begin(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})
    assert response.status_code == 422
    assert errors(response) == {"code": ["wrong_code"]}
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("steps_ahead, why", [(4, "ahead"), (-4, "behind")])
def test_a_code_of_another_time_is_refused_with_how_far_the_clock_is_off(signed_in_client, steps_ahead, why):
    key = begin(signed_in_client)
    response = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key, steps_ahead=steps_ahead)})
    assert response.status_code == 422
    assert errors(response) == {"code": [why]}
    assert re.search(r"\b\d+ (seconds|minutes)\b", response.context["form"].errors["code"][0])
    assert not Authenticator.objects.exists()


def test_after_five_wrong_codes_the_setup_is_over(signed_in_client):
    key = begin(signed_in_client)
    for _ in range(4):
        assert signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)}).status_code == 422
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})) == SETUP
    assert redirect_target(signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})) == SETUP
    assert not Authenticator.objects.exists()
    assert begin(signed_in_client) != key


# --- Success --------------------------------------------------------------------------------------


def test_the_right_code_turns_it_on_and_shows_ten_backup_codes(signed_in_client, user):
    key, response = turn_on(signed_in_client)
    assert response.status_code == 200
    codes = backup_codes_on(response)
    authenticator = Authenticator.objects.for_user(user)
    assert authenticator.secret == key
    assert len(codes) == 10
    assert all(authenticator.spend_backup_code(code) for code in codes)
    assert "no-store" in response["Cache-Control"]
    assert "twofactor_setup" not in signed_in_client.session


def test_the_codes_are_never_shown_again(signed_in_client):
    _, response = turn_on(signed_in_client)
    codes = backup_codes_on(response)
    for path in (SETTINGS, SETUP, VERIFY_SETUP, "/", "/accounts/2fa/regenerate-backup-codes/"):
        text = signed_in_client.get(path, follow=True).content.decode()
        assert not any(code in text for code in codes)
    assert not backup_codes_on(signed_in_client.post(VERIFY_SETUP, {"code": "123456"}))


# --- The page with the codes is left ----------------------------------------------------------------

ONCE = "Your backup codes are shown only once."


def leave_by(signed_in_client, way):
    """Follow what a browser does that shows the codes: a reload of the answer or of its address, or Back."""
    return {
        "the same form": lambda: signed_in_client.post(VERIFY_SETUP, {"code": "123456"}),
        "a reload": lambda: signed_in_client.get(SETTINGS),
        "Back to step 2": lambda: signed_in_client.get(VERIFY_SETUP),
        "Back to step 1": lambda: signed_in_client.get(SETUP),
    }[way]()


@pytest.mark.parametrize("way", ["the same form", "a reload", "Back to step 2", "Back to step 1"])
def test_left_before_the_codes_are_saved_it_says_that_they_are_shown_once(signed_in_client, way):
    turn_on(signed_in_client)
    response = leave_by(signed_in_client, way)
    if way != "a reload":
        assert redirect_target(response) == SETTINGS
        response = signed_in_client.get(SETTINGS)
    assert message_levels(response) == ["warning"]
    assert f"Two-factor authentication is on. {ONCE}" in response.content.decode()
    assert ONCE not in signed_in_client.get(SETTINGS).content.decode()
    assert "Set up a new phone" in signed_in_client.get(SETUP).content.decode()


def test_left_with_the_codes_saved_it_says_nothing(signed_in_client):
    turn_on(signed_in_client)
    response = signed_in_client.get(SETTINGS, {"saved": "on"})
    if response.status_code == 302:
        assert redirect_target(response) == SETTINGS
    else:
        assert response["HX-Replace-Url"] == SETTINGS
    assert ONCE not in signed_in_client.get(SETTINGS).content.decode()


def test_a_proof_given_right_after_the_codes_is_taken(signed_in_client):
    key, _ = turn_on(signed_in_client)
    proof = {"password": PASSWORD, "code": code_now(key, steps_ahead=1)}
    assert backup_codes_on(signed_in_client.post("/accounts/2fa/regenerate-backup-codes/", proof))


# --- Where it leads -------------------------------------------------------------------------------


@pytest.mark.parametrize("going, arrives", [
    ("/admin/", "/admin/"), ("/accounts/email/?a=b&c=d", "/accounts/email/?a=b&c=d"),
    ("https://evil.example/", ""), ("//evil.example/", ""), ("javascript:alert(1)", ""), ("", ""),
])  # fmt: skip
def test_a_setup_ends_where_the_person_was_going_on_this_host(signed_in_client, going, arrives):
    page = signed_in_client.get(SETUP, {"next": going})
    kept = inputs(page)["next"]["value"] if arrives else ""
    assert kept == arrives
    wrong = signed_in_client.post(SETUP, {"password": "wrong", "next": kept})
    assert inputs(wrong).get("next", {}).get("value", "") == arrives
    key = begin(signed_in_client, next=kept)
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert redirect_target(signed_in_client.get(SETTINGS, {"saved": "on"})) in (arrives or SETTINGS, arrives)


def test_a_setup_under_way_ends_where_the_person_was_going_last(signed_in_client):
    key = begin(signed_in_client, next="/accounts/email/")
    signed_in_client.get(SETUP, {"next": "/accounts/sessions/"})
    signed_in_client.get(SETUP)
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert redirect_target(signed_in_client.get(SETTINGS, {"saved": "on"})) == "/accounts/sessions/"


def test_where_it_is_required_the_setup_is_left_by_signing_out_and_not_by_cancel(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    begin_page = signed_in_client.get(SETUP)
    key = begin(signed_in_client)
    for page in (begin_page, signed_in_client.get(SETUP), signed_in_client.get(VERIFY_SETUP)):
        text = page.content.decode()
        assert "Cancel" not in text
        assert 'action="/accounts/logout/"' in text.split('id="panel"')[1]
        assert "Nothing else here opens until you turn it on." in text
    codes = signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}).content.decode()
    assert "Nothing else here opens until you turn it on." not in codes


def test_where_it_will_be_required_cancel_leads_back(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED, settings.TWOFACTOR_GRACE_DAYS = "all", 7
    assert "Cancel" in signed_in_client.get(SETUP).content.decode()


def test_the_code_that_turned_it_on_does_not_sign_in(signed_in_client, user):
    key = begin(signed_in_client)
    code = code_now(key, steps_ahead=1)
    signed_in_client.post(VERIFY_SETUP, {"code": code})
    other = new_client()
    give_password(other, user)
    response = other.post(VERIFY_LOGIN, {"code": code})
    assert errors(response) == {"code": ["wrong_code"]}
    assert not is_signed_in(other)


def test_it_is_turned_on_once_when_the_form_is_sent_twice(signed_in_client):
    key = begin(signed_in_client)
    before = signed_in_client.cookies.copy()
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    version = Authenticator.objects.get().version
    assert signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)}).status_code in (204, 302)
    again = new_client()
    again.cookies = before
    again.post(VERIFY_SETUP, {"code": code_now(key)})
    assert Authenticator.objects.get().version == version


def test_this_session_goes_on_under_a_new_key_and_all_others_end(signed_in_client, user):
    other = sign_in(new_client(), user)
    key = begin(signed_in_client)
    before = signed_in_client.session.session_key
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert signed_in_client.session.session_key != before
    assert signed_in_client.get(SETTINGS).status_code == 200
    assert not is_signed_in(other)
    assert redirect_target(other.get(SETTINGS)).startswith("/accounts/login/")
    assert not other.session.exists(before)


def test_the_owner_is_told(signed_in_client, user, mails_to):
    turn_on(signed_in_client)
    assert [event.kind for event in SecurityEvent.objects.all()] == ["turned_on"]
    assert len(mails_to(user.email)) == 1


def test_nothing_is_turned_on_over_what_another_tab_turned_on(signed_in_client, user, secret):
    key = begin(signed_in_client)
    session = signed_in_client.session
    Authenticator.objects.activate(user, secret=secret)
    session["twofactor"] = {"version": Authenticator.objects.get().version}
    session.save()
    signed_in_client.post(VERIFY_SETUP, {"code": code_now(key)})
    assert Authenticator.objects.get().secret == secret
