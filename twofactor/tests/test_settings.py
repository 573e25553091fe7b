"""The settings page, the session check of the middleware, and required 2FA."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.models import EmailAddress

from twofactor.models import Authenticator, SecurityEvent
from twofactor.tests.helpers import (
    DISABLE,
    LOGIN,
    REGENERATE,
    SETTINGS,
    SETUP,
    backup_codes_on,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)


def linked_paths(response):
    return {path for path in (SETUP, REGENERATE, DISABLE) if f'href="{path}"' in response.content.decode()}


def test_a_signed_out_user_is_redirected_to_login_and_back(client, db):
    assert redirect_target(client.get(SETTINGS)) == f"{LOGIN}?next={SETTINGS}"


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_other_methods_are_not_allowed(signed_in_client, method):
    assert getattr(signed_in_client, method)(SETTINGS).status_code == 405


def test_with_2fa_off_it_links_to_setup(signed_in_client):
    response = signed_in_client.get(SETTINGS)
    assert response.status_code == 200
    assert response.context["authenticator"] is None
    assert linked_paths(response) == {SETUP}


def test_with_2fa_on_it_shows_the_date_and_links_to_every_action(client_with_2fa, authenticator):
    response = client_with_2fa.get(SETTINGS)
    assert response.status_code == 200
    assert response.context["codes_left"] == 10
    assert f'datetime="{authenticator.created_at.isoformat()[:10]}' in response.content.decode()
    assert linked_paths(response) == {SETUP, REGENERATE, DISABLE}


def test_it_shows_no_secret_and_no_code(client_with_2fa, authenticator, backup_codes, secret):
    text = client_with_2fa.get(SETTINGS).content.decode()
    row = Authenticator.objects.get()
    for hidden in (
        secret,
        row.sealed_secret,
        row.version,
        *backup_codes,
        *row.backup_codes.values_list("digest", flat=True),
    ):
        assert hidden not in text
    assert not backup_codes_on(client_with_2fa.get(SETTINGS))


@pytest.mark.parametrize("left, is_low", [(10, False), (4, False), (3, True), (1, True), (0, True)])
def test_three_remaining_backup_codes_or_fewer_are_low(client_with_2fa, authenticator, backup_codes, left, is_low):
    for code in backup_codes[left:]:
        assert authenticator.spend_backup_code(code)
    response = client_with_2fa.get(SETTINGS)
    assert response.context["codes_left"] == left
    assert response.context["codes_low"] is is_low


def test_with_2fa_off_there_is_no_warning_about_backup_codes(signed_in_client):
    assert "warning" not in signed_in_client.get(SETTINGS).content.decode()


def test_it_shows_the_last_twenty_events_of_the_user_newest_first(signed_in_client, user, make_user):
    bob = make_user("bob@example.com")
    now = user.date_joined
    for number in range(25):
        SecurityEvent.objects.create(user=user, kind="turned_on", created_at=now + timedelta(hours=number))
    SecurityEvent.objects.create(user=bob, kind="turned_off", created_at=now + timedelta(days=9))
    events = list(signed_in_client.get(SETTINGS).context["events"])
    assert [event.created_at for event in events] == [now + timedelta(hours=n) for n in range(24, 4, -1)]
    assert {event.user_id for event in events} == {user.pk}


def test_an_event_shows_ip_and_browser(signed_in_client, user):
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    SecurityEvent.objects.create(user=user, kind="turned_on", ip="2001:db8::7", user_agent=agent)
    text = signed_in_client.get(SETTINGS).content.decode()
    assert "2001:db8::7" in text
    assert "Firefox on Linux" in text


def test_the_user_agent_is_escaped(user):
    SecurityEvent.objects.create(user=user, kind="turned_on", user_agent="<script>alert(1)</script> Firefox")
    text = sign_in(new_client(), user).get(SETTINGS).content.decode()
    assert "<script>alert" not in text


# --- The session check of the middleware ----------------------------------------------------------


@pytest.mark.parametrize("mark", [None, {}, {"version": "another"}, {"version": None}])
def test_a_session_without_the_current_version_is_signed_out(client_with_2fa, mark):
    session = client_with_2fa.session
    session["twofactor"] = mark
    if mark is None:
        del session["twofactor"]
    session.save()
    assert redirect_target(client_with_2fa.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(client_with_2fa)


def test_a_session_from_before_2fa_was_turned_on_is_signed_out(signed_in_client, user, secret):
    Authenticator.objects.activate(user, secret=secret)
    assert redirect_target(signed_in_client.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(signed_in_client)


def test_a_login_that_did_not_pass_the_stage_is_signed_out(signed_out_client, user, authenticator):
    signed_out_client.force_login(user)
    assert redirect_target(signed_out_client.get(SETTINGS)).startswith(LOGIN)
    assert not is_signed_in(signed_out_client)


def test_a_session_from_before_2fa_was_turned_off_is_signed_out(client_with_2fa, authenticator):
    authenticator.turn_off()
    assert redirect_target(client_with_2fa.get(SETTINGS)).startswith(LOGIN)


# --- Required 2FA ---------------------------------------------------------------------------------


@pytest.mark.parametrize("required, is_staff, is_redirected", [
    ("none", False, False), ("none", True, False), ("staff", False, False), ("staff", True, True), ("all", False, True),
])  # fmt: skip
def test_a_user_who_is_required_to_have_2fa_is_redirected_to_setup(
    signed_out_client, make_user, settings, required, is_staff, is_redirected
):
    settings.TWOFACTOR_REQUIRED = required
    sign_in(signed_out_client, make_user(is_staff=is_staff))
    for path in (SETTINGS, "/", "/accounts/password/change/", "/accounts/email/", "/accounts/sessions/", "/nowhere/"):
        assert redirect_target(signed_out_client.get(path)).startswith(SETUP) is is_redirected
    for path in (SETUP, "/accounts/logout/"):
        assert signed_out_client.get(path).status_code == 200
    signed_out_client.post("/accounts/logout/")
    assert not is_signed_in(signed_out_client)


def test_required_2fa_allows_the_page_for_verifying_an_address(signed_in_client, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    EmailAddress.objects.update(verified=False)
    assert redirect_target(signed_in_client.get(SETUP)) == "/accounts/email/"
    assert not redirect_target(signed_in_client.get("/accounts/email/")).startswith(SETUP)
    assert redirect_target(signed_in_client.get("/accounts/password/change/")).startswith(SETUP)


@pytest.mark.parametrize("days_ago, is_redirected", [(6, False), (8, True)])
def test_grace_days_delay_the_requirement(signed_out_client, user, settings, days_ago, is_redirected):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_GRACE_DAYS = 7
    user.date_joined -= timedelta(days=days_ago)
    user.save()
    response = sign_in(signed_out_client, user).get(SETTINGS)
    assert redirect_target(response).startswith(SETUP) is is_redirected
    if not is_redirected:
        assert response.wsgi_request.twofactor_due == user.date_joined + timedelta(days=7)


@pytest.mark.parametrize("paths", [["/accounts/sessions/"], "/accounts/sessions/"])
def test_exempt_paths_are_not_redirected(signed_in_client, settings, paths):
    settings.TWOFACTOR_REQUIRED = "all"
    settings.TWOFACTOR_EXEMPT_PATHS = paths
    assert signed_in_client.get("/accounts/sessions/").status_code == 200
    assert redirect_target(signed_in_client.get("/accounts/password/change/")).startswith(SETUP)


def test_a_required_user_with_2fa_is_not_redirected(client_with_2fa, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    response = client_with_2fa.get(SETTINGS)
    assert response.status_code == 200
    assert linked_paths(response) == {SETUP, REGENERATE}


@pytest.mark.parametrize("headers, expected", [
    ({}, "/accounts/email/?a=b"),
    ({"HX-Request": "true", "HX-Boosted": "true", "HX-Target": "panel"}, "/accounts/email/?a=b"),
    ({"HX-Request": "true", "HX-Current-URL": "http://testserver/accounts/sessions/"}, "/accounts/sessions/"),
])  # fmt: skip
def test_the_redirect_to_setup_has_next(user, settings, headers, expected):
    settings.TWOFACTOR_REQUIRED = "all"
    response = sign_in(new_client(), user).get("/accounts/email/?a=b", headers=headers)
    target = urlsplit(redirect_target(response))
    assert (target.path, parse_qs(target.query)) == (SETUP, {"next": [expected]})
