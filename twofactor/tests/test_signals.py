"""Signals: sent after the commit, without secrets, and not affected by a failing receiver."""

import functools
import logging

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from twofactor import events, signals
from twofactor.forms import CodeForm
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.refusals import Refused
from twofactor.support import reset
from twofactor.tests.constants import CONFIRM, DISABLE, PASSWORD, REGENERATE, SECRET, SETUP, VERIFY_LOGIN, VERIFY_SETUP
from twofactor.tests.helpers import age_second_factor, code_now, give_password, new_client, turn_on, wrong_code
from twofactor.tests.responses import backup_codes_on, key_shown


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Run the on_commit callbacks at the end of the block, since a test runs inside a transaction."""
    return functools.partial(django_capture_on_commit_callbacks, execute=True)


SENT_BY = {
    "turned_on": (events.turned_on, {"by": "app"}),
    "passkey_added": (functools.partial(events.passkey_added, name="Laptop"), {}),
    "passkey_removed": (functools.partial(events.passkey_removed, name="Laptop"), {}),
    "passkey_copied": (functools.partial(events.passkey_copied, name="Laptop"), {}),
    "app_added": (events.app_added, {}),
    "app_removed": (events.app_removed, {}),
    "turned_off": (events.turned_off, {"by": "owner", "reason": ""}),
    "phone_changed": (events.phone_changed, {}),
    "codes_regenerated": (events.codes_regenerated, {}),
    "backup_code_used": (lambda r, u: events.backup_code_used(r, u, codes_left=7), {"codes_left": 7}),
    "accepted": (lambda r, u: events.accepted(r, u, method="code"), {"method": "code"}),
    "failed": (lambda r, u: events.refused(r, u, CodeForm, Refused("no", why="more")), {"method": "code", "why": "no"}),
    "locked": (lambda r, u: events.locked(r, u.second_factor), {}),
}


@pytest.mark.parametrize("name", [name for name, value in vars(signals).items() if isinstance(value, signals.Signal)])
def test_a_signal_has_its_user_request_and_arguments(name, user, second_factor, request_, received, committed):
    send, extra = SENT_BY[name]
    with committed():
        send(request_, user)
    assert received == [(name, {"sender": SecondFactor, "request": request_, "user": user, **extra})]


# --- Sent by the pages ----------------------------------------------------------------------------


def test_signals_are_sent_in_order_and_without_secrets(user, received, committed):
    with committed():
        key, codes = turn_on(new_client(), user)
        wrong = wrong_code(key)
        give_password(browser := new_client(), user)
        browser.post(VERIFY_LOGIN, {"code": wrong})
        browser.post(VERIFY_LOGIN, {"backup_code": codes[0]})
        new = backup_codes_on(browser.post(REGENERATE, {"password": PASSWORD, "backup_code": codes[1]}))
        second = key_shown(browser.post(SETUP, {"password": PASSWORD, "backup_code": new[0]}))
        browser.post(VERIFY_SETUP, {"code": wrong_code(second)})  # sends none
        browser.post(VERIFY_SETUP, {"code": code_now(second)})
        browser.post(DISABLE, {"password": PASSWORD, "code": code_now(second, steps_ahead=1)})
    assert [name for name, _ in received] == [
        "turned_on", "failed", "backup_code_used", "accepted", "backup_code_used", "accepted", "codes_regenerated",
        "backup_code_used", "accepted", "phone_changed", "accepted", "turned_off",
    ]  # fmt: skip
    assert {named["user"].pk for _, named in received} == {user.pk}
    arguments = str([{name: value for name, value in named.items() if name != "request"} for _, named in received])
    for hidden in (key, second, wrong, code_now(key), PASSWORD, *codes, *new):
        assert hidden not in arguments


def test_a_reset_by_staff_sends_its_reason(user, second_factor, received, committed, request_):
    with committed():
        call_command("twofactor", "reset", user.email, "--reason", "lost phone")
        user.refresh_from_db()
        AuthenticatorApp.objects.activate(user, secret=SECRET)
        reset(user, reason="asked at the desk", request=request_)
    assert [(name, named["by"], named["reason"], named["request"]) for name, named in received] == [
        ("turned_off", "staff", "lost phone", None), ("turned_off", "staff", "asked at the desk", request_),
    ]  # fmt: skip


# --- After the commit -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_signal_is_sent_after_the_commit_and_not_after_a_rollback(user, request_, received):
    with transaction.atomic():
        events.turned_on(request_, user)
        transaction.set_rollback(True)
    assert received == []
    with transaction.atomic():
        events.turned_on(request_, user)
        assert received == []
    assert [name for name, _ in received] == ["turned_on"]
    events.turned_off(request_, user)  # outside a transaction
    assert [name for name, _ in received] == ["turned_on", "turned_off"]


@pytest.mark.parametrize("path", [VERIFY_LOGIN, CONFIRM])
@pytest.mark.django_db(transaction=True)
def test_with_atomic_requests_an_error_undoes_no_charge_and_no_signal(
    path, user, second_factor, secret, received, monkeypatch
):
    browser = new_client(raise_request_exception=False)
    give_password(browser, user)
    if path == CONFIRM:
        browser.post(VERIFY_LOGIN, {"code": code_now(secret, steps_ahead=-1)})
        age_second_factor(browser, 3600)
    received.clear()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr("twofactor.htmx.render", None)  # an error after the attempt
    assert browser.post(path, {"code": wrong_code(secret)}).status_code == 500
    assert SecondFactor.objects.get().failures == 1
    assert [name for name, _ in received] == ["failed"]


# --- A receiver that fails ------------------------------------------------------------------------


class NamelessReceiver:
    """A receiver without __qualname__. Django's own logging of a failing receiver would raise for it."""

    def __call__(self, **named):
        raise LookupError("no such\nevent=forged")


def test_a_failing_receiver_does_not_undo_or_block_the_change(user, received, committed, caplog):
    receiver = NamelessReceiver()
    signals.turned_on.connect(receiver)
    signals.turned_on.receivers.reverse()  # call the failing receiver first
    try:
        with caplog.at_level(logging.INFO), committed():
            key, _codes = turn_on(new_client(), user)
    finally:
        signals.turned_on.disconnect(receiver)
    assert AuthenticatorApp.objects.get().secret == key
    assert [name for name, _ in received] == ["turned_on"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "LookupError" in record.getMessage()
    assert record.getMessage().isprintable()
    assert record.exc_info is None
