"""The page "This wasn't me": three steps, each done if its event is newer than an hour."""

from datetime import timedelta

import pytest
from django.utils import timezone

from twofactor.models import AuthenticatorApp, SecondFactor, SecurityEvent
from twofactor.tests.constants import (
    CHANGE_PASSWORD,
    CONFIRM,
    HTMX,
    LOGIN,
    LOGOUT,
    NOT_ME,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
)
from twofactor.tests.helpers import code_now, give_password, new_client, proof, sign_in
from twofactor.tests.responses import is_full_page, redirect_target
from twofactor.tests.rows import event_kinds

STEPS = ["sessions_done", "password_done", "codes_done"]


def done(client):
    """Return which steps are done. The first one of the others is the next."""
    context = client.get(NOT_ME).context
    done = [context[step] for step in STEPS]
    assert context["next_step"] == next((number for number, is_done in enumerate(done, 1) if not is_done), None)
    return done


def test_the_first_step_ends_other_sessions_and_trusted_browsers(client_with_2fa, user, secret, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    thief = new_client()
    give_password(thief, user)
    thief.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    pending = new_client()
    give_password(pending, user)
    AuthenticatorApp.objects.update(last_time_step=-1)
    key = client_with_2fa.session.session_key
    assert redirect_target(client_with_2fa.post(NOT_ME)) == NOT_ME
    assert client_with_2fa.get(SETTINGS).status_code == 200
    assert not client_with_2fa.session.exists(key)
    assert redirect_target(thief.get(SETTINGS)).startswith(LOGIN)
    assert redirect_target(pending.post(VERIFY_LOGIN, {"code": code_now(secret)})).startswith(LOGIN)
    assert not user.trusted_browsers.exists()
    assert redirect_target(give_password(thief, user)) == VERIFY_LOGIN
    assert event_kinds()[-1] == "sessions_ended"


def test_the_first_step_works_with_2fa_off(signed_in_client, user):
    thief = sign_in(new_client(), user)
    response = signed_in_client.post(NOT_ME, headers=HTMX)
    assert not is_full_page(response)
    assert response.context["sessions_done"]
    assert redirect_target(thief.get(SETTINGS)).startswith(LOGIN)
    assert signed_in_client.get(SETTINGS).status_code == 200


def test_after_the_first_step_only_this_browser_is_known(user, make_user):
    owner, thief = sign_in(new_client(), user), sign_in(new_client(), user)
    owner.post(NOT_ME)
    sign_in(thief, make_user("thief@example.com"))  # renews the cookie, but not its entry for the other account
    for browser in (thief, owner):
        browser.post(LOGOUT)
        sign_in(browser, user)
    kinds = user.security_events.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["signed_in", "new_browser", "sessions_ended", "new_browser", "signed_in"]


def test_the_first_step_does_not_make_a_browser_known_that_never_signed_in(signed_in_client, user):
    thief = new_client()
    thief.cookies["sessionid"] = signed_in_client.cookies["sessionid"].value
    thief.post(NOT_ME)
    assert "known" not in thief.cookies


def test_the_first_step_is_no_proof_of_the_second_factor(client_with_2fa):
    client_with_2fa.post(NOT_ME)
    assert client_with_2fa.get(CONFIRM).status_code == 200


def test_the_first_step_is_refused_if_2fa_changed_meanwhile(client_with_2fa, monkeypatch):
    def change_first(second_factor):
        SecondFactor.objects.update(version="another")
        renew(second_factor)

    renew = SecondFactor.renew_version
    monkeypatch.setattr(SecondFactor, "renew_version", change_first)
    assert redirect_target(client_with_2fa.post(NOT_ME)) == SETTINGS
    assert event_kinds() == []


def test_each_step_leads_back_and_is_then_done(client_with_2fa, secret):
    assert done(client_with_2fa) == [False, False, False]
    client_with_2fa.post(NOT_ME)
    assert done(client_with_2fa) == [True, False, False]
    page = client_with_2fa.get(NOT_ME).content.decode()
    back = f"?next={NOT_ME.replace('/', '%2F')}"
    assert f'href="{CHANGE_PASSWORD}{back}"' in page
    assert f'href="{REGENERATE}{back}"' in page
    new = {"oldpassword": PASSWORD, "password1": "zinc-Harbour-9-lantern", "password2": "zinc-Harbour-9-lantern"}
    assert redirect_target(client_with_2fa.post(CHANGE_PASSWORD, {**new, "next": NOT_ME})) == NOT_ME
    assert done(client_with_2fa) == [True, True, False]
    form = client_with_2fa.get(f"{REGENERATE}{back}").content.decode()
    assert f'name="next" value="{NOT_ME}"' in form
    assert f'method=backup&amp;next={NOT_ME.replace("/", "%2F")}"' in form
    fields = {**proof(secret), "password": new["password1"], "next": NOT_ME}
    client_with_2fa.post(REGENERATE, fields)
    assert redirect_target(client_with_2fa.get(SETTINGS, {"saved": "on"})) == NOT_ME
    assert done(client_with_2fa) == [True, True, True]
    assert "All done." in client_with_2fa.get(NOT_ME).content.decode()


def test_new_backup_codes_lead_to_no_other_host(client_with_2fa, secret):
    client_with_2fa.post(REGENERATE, {**proof(secret), "next": "//evil.example/"})
    assert redirect_target(client_with_2fa.get(SETTINGS, {"saved": "on"})) == SETTINGS


@pytest.mark.parametrize("kinds, expected", [
    (["sessions_ended"], [True, False, False]),
    (["password_changed"], [False, True, False]),
    (["password_reset"], [False, True, False]),
    (["sessions_ended", "codes_regenerated"], [True, False, True]),
    (["sessions_ended", "phone_changed"], [True, False, True]),
    (["sessions_ended", "turned_on"], [True, False, True]),
    # A thief may have made these codes.
    (["codes_regenerated"], [False, False, False]),
    (["codes_regenerated", "sessions_ended"], [True, False, False]),
])  # fmt: skip
def test_a_step_is_done_for_an_hour_after_its_event(client_with_2fa, user, kinds, expected):
    for kind in kinds:
        SecurityEvent.objects.create(user=user, kind=kind)
    assert done(client_with_2fa) == expected
    SecurityEvent.objects.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    assert done(client_with_2fa) == [False] * 3


def test_with_2fa_off_the_third_step_is_the_setup_and_never_done(signed_in_client, user):
    SecurityEvent.objects.create(user=user, kind="turned_on")
    page = signed_in_client.get(NOT_ME)
    assert f'href="{SETUP}?next=' in page.content.decode()
    assert not page.context["codes_done"]


def test_a_user_without_a_password_gets_no_link_to_change_it(signed_in_client, user):
    user.set_unusable_password()
    user.save()
    (browser := new_client()).force_login(user)
    browser.post(NOT_ME)
    page = browser.get(NOT_ME)
    assert CHANGE_PASSWORD + "?" not in page.content.decode()
    assert page.context["next_step"] == 3
