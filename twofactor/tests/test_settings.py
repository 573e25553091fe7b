"""The security page, and its status block, which it reloads over HTMX."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from twofactor.models import BackupCode, SecondFactor, SecurityEvent
from twofactor.tests.constants import ACTIVITY, CHANGE_PASSWORD, DISABLE, HTMX, REGENERATE, SETTINGS, SETUP, STATUS
from twofactor.tests.helpers import new_client, sign_in
from twofactor.tests.responses import is_full_page, redirect_target

SET_PASSWORD = "/accounts/password/set/"


def linked_paths(response):
    return {path for path in (SETUP, REGENERATE, DISABLE) if f'href="{path}"' in response.content.decode()}


def test_with_2fa_off_it_links_to_setup_and_has_no_warning(signed_in_client):
    response = signed_in_client.get(SETTINGS)
    assert response.context["second_factor"] is None
    assert linked_paths(response) == {SETUP}
    assert "warning" not in response.content.decode()


def test_with_2fa_on_it_shows_date_and_actions_and_no_secret(client_with_2fa, second_factor, backup_codes, secret):
    response = client_with_2fa.get(SETTINGS)
    text = response.content.decode()
    assert f'datetime="{second_factor.created_at.isoformat()[:10]}' in text
    assert linked_paths(response) == {SETUP, REGENERATE, DISABLE}
    row = SecondFactor.objects.get()
    digests = row.backup_codes.values_list("digest", flat=True)
    hidden = {secret, row.app.sealed_secret, row.version, *backup_codes, *digests}
    assert not [each for each in hidden if each in text]


def test_a_user_who_is_required_to_have_2fa_gets_no_link_to_turn_it_off(client_with_2fa, settings):
    settings.TWOFACTOR_REQUIRED = "all"
    assert linked_paths(client_with_2fa.get(SETTINGS)) == {SETUP, REGENERATE}


@pytest.mark.parametrize("left, is_low", [(4, False), (3, True), (0, True)])
def test_three_remaining_backup_codes_or_fewer_are_low(client_with_2fa, second_factor, backup_codes, left, is_low):
    for code in backup_codes[left:]:
        assert BackupCode.objects.spend(second_factor, code)
    response = client_with_2fa.get(SETTINGS)
    assert (response.context["codes_left"], response.context["codes_low"]) == (left, is_low)
    text = response.content.decode()
    assert ("You have no backup codes left. Make new ones now." in text) is (left == 0)
    assert f"{left} of 10 left" in text


def test_no_backup_codes_left_is_said_in_words_by_the_commands(user, second_factor, backup_codes, run_command):
    for code in backup_codes:
        BackupCode.objects.spend(second_factor, code)
    assert "no backup codes left" in run_command("twofactor", "status", user.email)
    assert "no backup codes left" in run_command("twofactor", "report")


def test_it_shows_the_last_five_events_and_links_to_all(signed_in_client, user):
    for number in range(6):
        SecurityEvent.objects.create(user=user, kind="turned_on", created_at=user.date_joined + timedelta(hours=number))
    response = signed_in_client.get(SETTINGS)
    hours = [(event.created_at - user.date_joined).total_seconds() // 3600 for event in response.context["events"]]
    assert hours == [5, 4, 3, 2, 1]
    assert f'href="{ACTIVITY}"' in response.content.decode()


def test_it_shows_when_the_app_and_the_backup_codes_were_last_used(client_with_2fa, second_factor, backup_codes):
    text = client_with_2fa.get(SETTINGS).content.decode()
    assert (text.count("Last used:"), text.count("Not used yet")) == (1, 1)
    BackupCode.objects.spend(second_factor, backup_codes[0])
    BackupCode.objects.filter(used_at__isnull=False).update(used_at=datetime(2026, 11, 27, 14, 4, tzinfo=UTC))
    text = client_with_2fa.get(SETTINGS).content.decode()
    assert (text.count("Last used:"), text.count("Not used yet")) == (2, 0)
    assert 'datetime="2026-11-27T14:04:00+00:00"' in text


def test_htmx_gets_only_the_status_block_and_a_plain_browser_the_settings_page(client_with_2fa):
    assert redirect_target(client_with_2fa.get(STATUS)) == SETTINGS
    response = client_with_2fa.get(STATUS, headers=HTMX)
    assert not is_full_page(response)
    assert response.content.strip().startswith(b'<div id="twofactor-status"')
    assert b'id="panel"' not in response.content
    assert response.context["codes_left"] == 10


def test_a_refresh_of_the_status_swaps_the_card_to_turn_2fa_off(client_with_2fa):
    page = client_with_2fa.get(SETTINGS).content.decode()
    assert page.count('id="turn-off"') == 1
    assert "hx-swap-oob" not in page
    refresh = client_with_2fa.get(STATUS, headers=HTMX)
    assert 'hx-swap-oob="true"' in refresh.content.decode()
    assert linked_paths(refresh) == {SETUP, REGENERATE, DISABLE}


def test_with_2fa_off_a_refresh_empties_the_card_to_turn_it_off(signed_in_client):
    refresh = signed_in_client.get(STATUS, headers=HTMX)
    assert 'hx-swap-oob="true"' in refresh.content.decode()
    assert linked_paths(refresh) == {SETUP}


@pytest.mark.parametrize("others, words", [
    (0, "Only this browser."), (1, "This browser and 1 other."), (2, "This browser and 2 others."),
])  # fmt: skip
def test_it_counts_the_other_sessions_that_have_not_ended(signed_in_client, user, make_user, others, words):
    for _ in range(others):
        sign_in(new_client(), user)
    ended, expired = (sign_in(new_client(), user).session.session_key for _ in range(2))
    Session.objects.filter(session_key=ended).delete()
    Session.objects.filter(session_key=expired).update(expire_date=timezone.now())
    sign_in(new_client(), make_user("bob@example.com"))
    assert words in signed_in_client.get(SETTINGS).content.decode()


def test_a_user_without_a_password_can_set_one(signed_in_client, user):
    def password_links():
        text = signed_in_client.get(SETTINGS, headers=HTMX).content.decode()
        return [path for path in (CHANGE_PASSWORD, SET_PASSWORD) if f'href="{path}"' in text]

    assert password_links() == [CHANGE_PASSWORD]
    user.set_unusable_password()
    user.save()
    signed_in_client.force_login(user)
    assert password_links() == [SET_PASSWORD]


def test_the_settings_page_reloads_the_block_after_a_change(client_with_2fa):
    page = client_with_2fa.get(SETTINGS).content.decode()
    assert f'hx-get="{STATUS}"' in page
    assert "twofactor-changed" in page
