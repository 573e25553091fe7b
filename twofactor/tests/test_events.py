"""Security events: each kind has a row, a log line and an email to every verified address."""

import io
import logging

import pytest
from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage
from django.db import transaction

from twofactor import events
from twofactor.forms import CodeForm
from twofactor.models import AuthenticatorApp, SecurityEvent
from twofactor.passkey_form import PasskeyForm
from twofactor.refusals import Refused
from twofactor.tests.constants import PASSWORD, UNKNOWN_BACKUP_CODE, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, turn_on, wrong_code
from twofactor.tests.rows import run_on_commit

ABOUT_SIGN_INS = {"new_browser", "wrong_codes", "browser_trusted"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sign_in_from_a_new_browser(request, user):
    SecurityEvent.objects.get_or_create(user=user, kind="signed_in", created_at=user.date_joined)
    events.signed_in(request, user)


# The events with an email. Those without one are in test_receivers.py.
RECORD = {
    "turned_on": events.turned_on,
    "turned_off": events.turned_off,
    "codes_regenerated": events.codes_regenerated,
    "phone_changed": events.phone_changed,
    "passkey_added": lambda request, user: events.passkey_added(request, user, name="Laptop"),
    "passkey_removed": lambda request, user: events.passkey_removed(request, user, name="Laptop"),
    "passkey_copied": lambda request, user: events.passkey_copied(request, user, name="Laptop"),
    "app_added": events.app_added,
    "app_removed": events.app_removed,
    "backup_code_used": lambda request, user: events.backup_code_used(request, user, codes_left=7),
    "wrong_codes": lambda request, user: events.wrong_codes(request, user.second_factor),
    "wrong_passwords": events.wrong_passwords,
    "locked": lambda request, user: events.locked(request, user.second_factor),
    "reset_by_staff": lambda request, user: events.reset_by_staff(request, user, reason="lost phone"),
    "browser_trusted": events.browser_trusted,
    "unlocked_by_staff": lambda request, user: events.unlocked_by_staff(request, user, reason="the phone was slow"),
    "new_browser": sign_in_from_a_new_browser,
}


@pytest.fixture
def request_(rf):
    return rf.get("/", REMOTE_ADDR="192.0.2.7", headers={"User-Agent": FIREFOX})


@pytest.fixture
def log():
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("twofactor").addHandler(handler)
    yield handler.stream
    logging.getLogger("twofactor").removeHandler(handler)


@pytest.mark.parametrize("kind", RECORD)
def test_an_event_has_a_row_a_log_line_and_an_email(kind, user, make_user, second_factor, request_, emails_to, log):
    request_.user = make_user("staff@example.com")
    RECORD[kind](request_, user)
    row = SecurityEvent.objects.latest("pk")
    by_owner = not kind.endswith("_by_staff")
    source = ("192.0.2.7", FIREFOX) if by_owner else (None, "")
    assert (row.user, row.kind, row.ip, row.user_agent) == (user, kind, *source)
    (line,) = log.getvalue().splitlines()
    assert f"event={kind} user={user.pk} ip=192.0.2.7" in line
    assert (f"staff={request_.user.pk}" in line) != by_owner
    (email,) = emails_to(user.email)
    assert "http://testserver/accounts/2fa/" in email.body
    assert ("This wasn't me" in email.body) == ("/accounts/2fa/not-me/" in email.body) == (kind in ABOUT_SIGN_INS)
    assert ("192.0.2.7" in email.body) == ("Firefox on Linux" in email.body) == by_owner


def test_each_verified_address_gets_its_own_email_and_no_other_address_gets_one(user, make_user, request_, mailoutbox):
    make_user("bob@example.com")
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    EmailAddress.objects.create(user=user, email="unverified@example.com", verified=False)
    events.turned_on(request_, user)
    run_on_commit()
    assert sorted(email.to for email in mailoutbox) == [["ada@example.com"], ["second@example.com"]]
    assert not any(email.cc or email.bcc for email in mailoutbox)


def test_the_emails_have_the_details_of_their_event(user, request_, emails_to):
    events.backup_code_used(request_, user, codes_left=7)
    events.reset_by_staff(None, user, reason="lost <phone> & codes")
    used, reset = emails_to(user.email)
    assert "7" in used.body
    assert "lost <phone> & codes" in reset.body
    assert "lost &lt;phone&gt; &amp; codes" in reset.alternatives[0].content


def test_an_email_is_sent_after_the_commit_and_not_after_a_rollback(user, request_, mailoutbox):
    with transaction.atomic():
        events.turned_off(request_, user)
        transaction.set_rollback(True)
    with transaction.atomic():
        events.turned_on(request_, user)
    assert not mailoutbox
    run_on_commit()
    (email,) = mailoutbox
    assert "is now on" in email.body
    assert email.message()["Auto-Submitted"] == "auto-generated"  # RFC 3834, 5: prevents out-of-office replies


def test_links_use_the_setting_and_not_the_host_header(user, rf, emails_to, settings):
    settings.TWOFACTOR_SITE_URL = "https://2fa.example"
    events.turned_on(rf.get("/", headers={"Host": "localhost"}), user)
    (email,) = emails_to(user.email)
    assert "https://2fa.example/accounts/2fa/" in email.body
    assert "localhost" not in email.body


def test_wrong_codes_send_one_email_an_hour_and_create_an_event_each_time(user, second_factor, request_, emails_to):
    for _ in range(3):
        events.wrong_codes(request_, second_factor)
    assert SecurityEvent.objects.count() == 3
    assert len(emails_to(user.email)) == 1


@pytest.mark.parametrize("form, event", [(CodeForm, "code_refused"), (PasskeyForm, "passkey_refused")])
def test_a_refused_method_is_logged_and_creates_no_event(user, second_factor, request_, log, form, event):
    events.refused(request_, user, form, Refused("wrong", why="origin"))
    assert f"event={event} user={user.pk} factor={form.key} why=origin ip=192.0.2.7" in log.getvalue()
    assert not SecurityEvent.objects.exists()


def test_a_copied_passkey_sends_one_email_an_hour_and_creates_an_event_each_time(user, request_, emails_to):
    for _ in range(3):
        events.passkey_copied(request_, user, name="Laptop")
    assert SecurityEvent.objects.count() == 3
    (email,) = emails_to(user.email)
    assert "“Laptop”" in email.body


def test_the_email_names_the_credential_that_turned_2fa_on(user, request_, emails_to):
    for by in ("app", "passkey"):
        events.turned_on(request_, user, by=by)
    by_app, by_passkey = emails_to(user.email)
    assert "a code from your authenticator app" in by_app.body
    assert "your password and your passkey" in by_passkey.body


# --- No secrets, no forged lines ------------------------------------------------------------------


def test_log_rows_and_emails_contain_no_secrets_codes_or_passwords(user, log, mailoutbox):
    key, codes = turn_on(new_client(), user)
    wrong, right = wrong_code(key), code_now(key, steps_ahead=1)
    give_password(browser := new_client(), user)
    for typed in ({"code": wrong}, {"backup_code": UNKNOWN_BACKUP_CODE}, {"code": right}):
        browser.post(VERIFY_LOGIN, typed)
    assert is_signed_in(browser)
    run_on_commit()
    emails = "".join(m.subject + m.body + m.alternatives[0].content for m in mailoutbox)
    written = log.getvalue() + str([*SecurityEvent.objects.values()]) + emails
    assert "event=turned_on" in written
    for hidden in (key, wrong, right, UNKNOWN_BACKUP_CODE, "0" * 16, PASSWORD, *codes):
        assert hidden not in written


@pytest.mark.parametrize("forged", [
    "x\r\n2026-01-01 INFO twofactor event=turned_off user=1", "x\u2028event=forged", "x\x85y\x1b[2J",
])  # fmt: skip
def test_user_input_cannot_start_a_log_line(user, second_factor, rf, log, forged):
    request = rf.get("/", headers={"User-Agent": forged})
    for record in RECORD.values():
        record(request, user)
    events.reset_by_staff(request, user, reason=forged)
    lines = log.getvalue().splitlines()
    assert len(lines) == len(RECORD) + 1
    assert all(line.startswith("20") and line.isprintable() for line in lines)


@pytest.mark.parametrize("agent", ["", "\0", "x" * 5000, "\x80\xff"])
def test_any_user_agent_fits_into_a_row(user, rf, agent):
    request = rf.get("/")
    request.META["HTTP_USER_AGENT"] = agent
    events.turned_on(request, user)
    assert SecurityEvent.objects.get().user_agent == agent[:200].replace("\0", "")  # PostgreSQL refuses NUL


def test_the_issuer_cannot_add_an_email_header(user, request_, emails_to, settings):
    settings.TWOFACTOR_ISSUER = "Two\r\nBcc: evil@example.com"
    events.turned_on(request_, user)
    (email,) = emails_to(user.email)
    assert email.message()["Bcc"] is None


# --- A mail server that is down -------------------------------------------------------------------


def test_a_change_succeeds_while_the_mail_server_is_down(user, monkeypatch, caplog, django_capture_on_commit_callbacks):
    def refuse(self, fail_silently=False):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(EmailMessage, "send", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        key, codes = turn_on(new_client(), user)
    assert len(codes) == 10
    assert AuthenticatorApp.objects.get().secret == key
    assert "Connection refused" in caplog.text
