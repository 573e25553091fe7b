"""What a host is told by Django's signals: after the commit, without secrets, and without harm from who listens."""

import functools
import logging

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from conftest import PASSWORD
from twofactor import events, signals
from twofactor.forms import ConfirmForm, ProofForm, VerifyLoginForm
from twofactor.models import Authenticator
from twofactor.reset import reset
from twofactor.tests.helpers import (
    DISABLE,
    REGENERATE,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    backup_codes_on,
    code_now,
    give_password,
    new_client,
    wrong_code,
)

ALL = {name: value for name, value in vars(signals).items() if isinstance(value, signals.Signal)}


@pytest.fixture
def heard():
    """What was sent so far: the signal's name, and all that came with it."""
    told, receivers = [], []
    for name, signal in ALL.items():
        receiver = functools.partial(_hear, told, name)
        receivers.append((signal, receiver))
        signal.connect(receiver)
    yield told
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def _hear(told, name, signal, **named):
    told.append((name, named))


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Tests run inside a transaction: what waits for its end is done here at the end of the block."""
    return functools.partial(django_capture_on_commit_callbacks, execute=True)


TOLD = {
    "turned_on": (events.turned_on, {}),
    "turned_off": (events.turned_off, {"by": "owner", "reason": ""}),
    "phone_changed": (events.phone_changed, {}),
    "codes_regenerated": (events.codes_regenerated, {}),
    "backup_code_used": (lambda r, u: events.backup_code_used(r, u, codes_left=7), {"codes_left": 7}),
    "accepted": (lambda r, u: events.code_accepted(r, u, method="code"), {"method": "code"}),
    "failed": (
        lambda r, u: events.code_refused(r, u, method="code", why="wrong_code"),
        {"method": "code", "why": "wrong_code"},
    ),
    "locked": (lambda r, u: events.locked(r, u.authenticator), {}),
}


def test_every_signal_is_in_the_table():
    assert ALL.keys() == TOLD.keys()


@pytest.mark.parametrize("name", TOLD)
def test_a_signal_says_whose_by_which_request_and_what_it_adds(name, user, authenticator, request_, heard, committed):
    tell, added = TOLD[name]
    with committed():
        tell(request_, user)
    assert heard == [(name, {"sender": Authenticator, "request": request_, "user": user, **added})]


# --- Each by what people do -----------------------------------------------------------------------


def test_the_journey_is_told_in_its_order_and_without_a_secret(user, heard, committed):
    browser, other = new_client(), new_client()
    with committed():
        give_password(browser, user)
        key = browser.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
        wrong = wrong_code(key)
        browser.post(VERIFY_SETUP, {"code": wrong})
        codes = backup_codes_on(browser.post(VERIFY_SETUP, {"code": code_now(key)}))
        give_password(other, user)
        other.post(VERIFY_LOGIN, {"code": wrong})
        other.post(VERIFY_LOGIN, {"backup_code": codes[0]})
        new = backup_codes_on(other.post(REGENERATE, {"password": PASSWORD, "backup_code": codes[1]}))
        other.post(SETUP, {"password": PASSWORD, "backup_code": new[0]})
        second = other.get(SETUP).context["key"].replace(" ", "")
        other.post(VERIFY_SETUP, {"code": code_now(second)})
        other.post(DISABLE, {"password": PASSWORD, "code": wrong_code(second)})
        other.post(DISABLE, {"password": PASSWORD, "code": code_now(second, steps_ahead=1)})
    assert [name for name, _ in heard] == [
        "turned_on", "failed", "backup_code_used", "accepted", "backup_code_used", "accepted", "codes_regenerated",
        "backup_code_used", "accepted", "phone_changed", "failed", "accepted", "turned_off",
    ]  # fmt: skip
    assert {named["user"].pk for _, named in heard} == {user.pk}
    said = str([{name: value for name, value in named.items() if name != "request"} for _, named in heard])
    for hidden in (key, second, wrong, code_now(key), PASSWORD, *codes, *new):
        assert hidden not in said


@pytest.mark.parametrize("method, field", [("code", "code"), ("backup", "backup_code")])
@pytest.mark.parametrize("form", [VerifyLoginForm, ConfirmForm, ProofForm])
def test_every_form_tells_of_an_accepted_code(
    form, method, field, authenticator, secret, backup_codes, request_, heard, committed
):
    typed = {"password": PASSWORD, "code": code_now(secret), "backup_code": backup_codes[0]}
    with committed():
        assert form(typed, request=request_, authenticator=authenticator, method=method).is_valid()
    assert [named["method"] for name, named in heard if name == "accepted"] == [method]


def test_a_reset_says_that_it_was_staff_and_why(user, authenticator, heard, committed, request_):
    with committed():
        call_command("twofactor", "reset", user.email, "--reason", "lost phone")
        Authenticator.objects.activate(user, secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
        reset(user, reason="asked at the desk", request=request_)
    told = [(name, named["by"], named["reason"], named["request"]) for name, named in heard]
    assert told == [("turned_off", "staff", "lost phone", None), ("turned_off", "staff", "asked at the desk", request_)]


def test_a_lock_is_told(pending_client, user, secret, heard, committed):
    Authenticator.objects.update(budget_spent=99, budget_began=2_000_000_000)
    with committed():
        pending_client.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert [name for name, _ in heard] == ["failed", "locked"]


def test_a_wrong_code_of_a_setup_is_no_failure_of_a_second_factor(signed_in_client, heard, committed):
    with committed():
        key = signed_in_client.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
        signed_in_client.post(VERIFY_SETUP, {"code": wrong_code(key)})
    assert heard == []


# --- After the commit -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_it_is_sent_after_the_commit_and_never_without_one(user, request_, heard):
    with transaction.atomic():
        events.turned_on(request_, user)
        transaction.set_rollback(True)
    assert heard == []
    with transaction.atomic():
        events.turned_on(request_, user)
        assert heard == []
    assert [name for name, _ in heard] == ["turned_on"]
    events.turned_off(request_, user)
    assert [name for name, _ in heard] == ["turned_on", "turned_off"]


@pytest.mark.django_db(transaction=True)
def test_with_a_transaction_for_each_request_it_is_sent_after_that_one(user, authenticator, secret, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    inside = []

    def receiver(**named):
        inside.append(connection.in_atomic_block)

    signals.failed.connect(receiver)
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": wrong_code(secret)})
    assert inside == [False]


# --- A receiver that fails ------------------------------------------------------------------------


class Broken:
    """A receiver that has no name of its own, with which Django's way of logging would raise in its turn."""

    def __call__(self, **named):
        raise LookupError("no such\nevent=forged")


def broken(**named):
    raise LookupError("no such\nevent=forged")


@pytest.mark.parametrize("receiver", [broken, Broken()], ids=["function", "object"])
def test_a_receiver_that_raises_undoes_and_blocks_nothing(user, receiver, heard, committed, caplog):
    signals.turned_on.connect(receiver)
    signals.turned_on.receivers.reverse()  # before the one that hears
    try:
        browser = new_client()
        give_password(browser, user)
        key = browser.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
        with caplog.at_level(logging.INFO), committed():
            response = browser.post(VERIFY_SETUP, {"code": code_now(key)})
    finally:
        signals.turned_on.disconnect(receiver)
    assert len(backup_codes_on(response)) == 10
    assert Authenticator.objects.for_user(user).secret == key
    assert [name for name, _ in heard] == ["turned_on"]
    (line,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "LookupError" in line.getMessage()
    assert line.getMessage().isprintable()
    assert line.exc_info is None
