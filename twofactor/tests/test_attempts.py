"""Attempts as a JSON view could make them, without a form: charges, refusals, what is recorded, and what ends."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from twofactor import limits
from twofactor.attempts import Attempt
from twofactor.models import SecondFactor
from twofactor.refusals import Refused
from twofactor.tests.constants import NOW
from twofactor.tests.rows import event_kinds, run_on_commit, tries_left, update

PENDING = "a" * 32
FORMS = {"sign-in": {"pending_id": PENDING}, "with a password": {"asks_password": True}, "without": {}}


@dataclass
class Answer:
    """An answer that is right, wrong or not checked. Its check charges the `guessable` account, as the models do."""

    outcome: bool | Refused
    guessable: SecondFactor | None = None
    is_backup: bool = False
    meanwhile: Callable[[], object] = lambda: None  # what another request does during the check
    is_counted: bool = True
    key = "code"
    refused_event = "code_refused"

    @property
    def is_guessable(self):
        return self.guessable is not None

    def check(self, *, now):
        if self.guessable:
            self.guessable.charge(now=now)
        self.meanwhile()
        if isinstance(self.outcome, Refused):
            raise self.outcome
        if self.guessable and self.outcome:
            self.guessable.give_back()
        return self.outcome


NOT_CHECKED = Answer(True, meanwhile=lambda: pytest.fail("checked"))


@pytest.fixture
def make(request_, second_factor):
    """Make an attempt. Return the code of Refused, "" if the answer was accepted."""

    def make(answer, **options):
        try:
            Attempt(request_, second_factor, **options).make(answer, now=NOW)
        except Refused as refused:
            return refused.code
        return ""

    return make


@pytest.fixture
def charges(request_):
    """Return the failures of the account, the hits of the pending sign-in, and the tries that the source used."""
    source = limits.codes_of_source(request_)
    return lambda: (SecondFactor.objects.get().failures, limits.sign_in(PENDING).hits, source.amount - source.left())


# --- What is charged, and what is given back ------------------------------------------------------


def test_a_right_answer_is_not_charged_and_completes_the_sign_in(make, charges, second_factor):
    assert make(Answer(True, second_factor), pending_id=PENDING) == ""
    assert charges() == (0, limits.COMPLETED, 0)


def test_a_wrong_answer_is_charged_to_source_and_sign_in_and_if_guessable_to_the_account(make, charges, second_factor):
    assert make(Answer(False), pending_id=PENDING) == "wrong"
    assert charges() == (0, 1, 1)
    assert make(Answer(False, second_factor), pending_id=PENDING) == "wrong"
    assert charges() == (1, 2, 2)


def test_an_answer_is_charged_before_the_check_and_an_error_gives_nothing_back(make, charges, second_factor):
    with pytest.raises(ZeroDivisionError):
        make(Answer(True, second_factor, meanwhile=lambda: 1 / 0), pending_id=PENDING)
    assert charges() == (1, 1, 1)


@pytest.mark.parametrize("why, wait", [("delayed", 30), ("busy", 1), ("unreadable", None)])
def test_an_answer_that_is_not_checked_is_not_charged(request_, second_factor, charges, why, wait):
    with pytest.raises(Refused) as refusal:
        Attempt(request_, second_factor, pending_id=PENDING).make(Answer(Refused(why, wait)), now=NOW)
    assert (refusal.value.code, refusal.value.wait) == (why, wait)
    assert charges() == (0, 0, 0)
    assert event_kinds() == []


# --- The source -----------------------------------------------------------------------------------


def test_a_source_is_limited_to_twenty_wrong_answers_and_then_nothing_is_checked(request_, second_factor, charges):
    assert tries_left(request_) == 20
    with pytest.raises(Refused) as refusal:
        Attempt(request_, second_factor, pending_id=PENDING).make(NOT_CHECKED)
    assert refusal.value.code == "source"
    assert 590 <= refusal.value.wait <= 600
    assert charges() == (0, 0, 20)


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


# --- The end of a sign-in -------------------------------------------------------------------------


@pytest.mark.parametrize("is_guessable", [True, False])
def test_the_fifth_wrong_answer_ends_the_sign_in_once_and_notifies_the_owner_once(
    make, charges, user, second_factor, emails_to, is_guessable
):
    wrong = Answer(False, second_factor if is_guessable else None)
    assert [make(wrong, pending_id=PENDING) for _ in range(5)] == ["wrong"] * 4 + ["ended"]
    assert event_kinds() == ["wrong_codes"]
    (email,) = emails_to(user.email)
    assert "entered the correct password" in email.body
    assert make(NOT_CHECKED, pending_id=PENDING) == "closed"
    assert charges() == (5 * is_guessable, limits.USED_UP, 5)


def test_of_parallel_fifth_wrong_answers_one_ends_the_sign_in(make):
    tries = limits.sign_in(PENDING)
    assert all(tries.charge() for _ in range(4))
    assert make(Answer(False, meanwhile=tries.end), pending_id=PENDING) == "closed"
    assert event_kinds() == []


def test_a_sign_in_whose_last_try_was_lost_ends_at_the_next(make, charges):
    assert all(limits.sign_in(PENDING).charge() for _ in range(5))
    assert [make(NOT_CHECKED, pending_id=PENDING) for _ in range(2)] == ["ended", "closed"]
    assert charges() == (0, limits.USED_UP, 0)
    assert event_kinds() == []


def test_a_sign_in_is_completed_once(make, charges):
    complete = limits.sign_in(PENDING).complete
    assert make(Answer(True, meanwhile=complete), pending_id=PENDING) == "closed"
    assert make(NOT_CHECKED, pending_id=PENDING) == "closed"
    assert charges() == (0, limits.COMPLETED, 0)
    assert event_kinds() == []


def test_a_right_backup_code_is_recorded_even_if_the_sign_in_was_completed_meanwhile(make):
    complete = limits.sign_in(PENDING).complete
    assert make(Answer(True, is_backup=True, meanwhile=complete), pending_id=PENDING) == "closed"
    assert event_kinds() == ["backup_code_used"]


# --- Five in a row, over all forms and sign-ins ---------------------------------------------------


@pytest.mark.parametrize("form, why", [("sign-in", "wrong"), ("with a password", "wrong"), ("without", "signed_out")])
@pytest.mark.parametrize("before", [4, 9])
def test_every_fifth_in_a_row_notifies_the_owner_and_ends_a_session_that_gave_no_password(
    make, user, second_factor, emails_to, form, why, before
):
    update(second_factor, failures=before)
    assert make(Answer(False, second_factor), **FORMS[form]) == why
    assert event_kinds() == ["wrong_codes"]
    (email,) = emails_to(user.email)
    assert ("was signed in" in email.body) is (why == "signed_out")


def test_wrong_answers_that_the_account_is_not_charged_for_do_not_end_a_session(make, second_factor):
    update(second_factor, failures=5)  # of earlier codes from the app
    assert [make(Answer(False)) for _ in range(6)] == ["wrong"] * 6
    assert event_kinds() == []


def test_the_failure_that_locks_the_account_is_recorded_once(make, second_factor, received):
    update(second_factor, budget_spent=99, budget_began=NOW)
    assert [make(Answer(False, second_factor)) for _ in range(2)] == ["wrong", "delayed"]
    assert event_kinds() == ["locked"]
    run_on_commit()
    assert [name for name, _ in received] == ["failed", "locked", "failed"]


@pytest.mark.parametrize("is_guessable, failures, tries, form, is_last", [
    (True, 0, 4, "sign-in", True), (False, 0, 4, "sign-in", True), (True, 4, 3, "sign-in", False),
    (True, 4, 0, "without", True), (True, 3, 0, "without", False), (False, 4, 0, "without", False),
    (True, 4, 0, "with a password", False),
])  # fmt: skip
def test_the_last_try_is_known(request_, second_factor, is_guessable, failures, tries, form, is_last):
    update(second_factor, failures=failures)
    assert all(limits.sign_in(PENDING).charge() for _ in range(tries))
    answer = Answer(False, second_factor if is_guessable else None)
    assert Attempt(request_, second_factor, **FORMS[form]).is_last_try(answer) is is_last


# --- Signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_an_accepted_answer_sends_its_method(make, received, form):
    assert make(Answer(True), **FORMS[form]) == ""
    run_on_commit()
    assert [(name, named["method"]) for name, named in received] == [("accepted", "code")]
    assert event_kinds() == []


def test_an_accepted_backup_code_is_recorded_with_the_number_left(request_, second_factor, received):
    attempt = Attempt(request_, second_factor)
    attempt.make(Answer(True, is_backup=True))
    run_on_commit()
    assert [name for name, _ in received] == ["backup_code_used", "accepted"]
    assert event_kinds() == ["backup_code_used"]
    assert attempt.codes_left == received[0][1]["codes_left"] == 10


def test_a_refused_answer_sends_why(make, request_, received):
    assert make(Answer(Refused("busy", 1))) == "busy"
    assert [make(Answer(False), pending_id=PENDING) for _ in range(6)][3:] == ["wrong", "ended", "closed"]
    tries_left(request_)
    assert make(NOT_CHECKED) == "source"
    run_on_commit()
    assert [named["why"] for _, named in received] == ["busy", *["wrong"] * 5, "closed", "source"]
    assert {(name, named["method"]) for name, named in received} == {("failed", "code")}
