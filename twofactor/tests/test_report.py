"""`manage.py twofactor report`, as lines, JSON and CSV."""

import csv
import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError

from twofactor.models import AuthenticatorApp, BackupCode, Passkey, SecondFactor
from twofactor.tests.rows import update

pytestmark = pytest.mark.database

OFF = {
    "on": False, "since": None, "methods": [], "passkeys": 0, "unusable_passkeys": 0, "backup_codes_left": 0,
    "last_used": None, "waits_until": None, "secret_opens": None,
}  # fmt: skip


@pytest.fixture
def users(make_user, second_factor):
    """Ada has used app and codes, and has to wait. The others have 2FA off; one is not active."""
    make_user("bob@example.com")
    make_user("staff@example.com", is_staff=True)
    make_user("gone@example.com", is_active=False)
    update(second_factor, delayed_until=4_000_000_000, created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    AuthenticatorApp.objects.update(last_used_at=datetime(2026, 2, 2, tzinfo=UTC))
    used = BackupCode.objects.order_by("pk")[:2]
    BackupCode.objects.filter(pk__in=[code.pk for code in used]).update(used_at=datetime(2026, 3, 3, tzinfo=UTC))


@pytest.mark.usefixtures("users")
def test_report_lists_users_with_2fa_and_users_who_are_required_to_have_it(run_command):
    lines = run_command("twofactor", "report").splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "on ada@example.com: 8 backup codes left",
        "MISSING staff@example.com: off, but required",
        "1 on, 2 off (1 of them required to have it)",
        "1 of 1 secrets open",
    ]


@pytest.mark.usefixtures("users")
def test_json_is_one_array_with_every_active_user(run_command):
    assert json.loads(run_command("twofactor", "report", "--json")) == [
        {
            "user": "ada@example.com", "on": True, "required": False, "since": "2026-01-02T03:04:05Z",
            "methods": ["code", "backup"], "passkeys": 0, "unusable_passkeys": 0, "backup_codes_left": 8,
            "last_used": "2026-03-03T00:00:00Z",
            "waits_until": "2096-10-02T07:06:40Z", "secret_opens": True,
        },
        {"user": "bob@example.com", "required": False, **OFF},
        {"user": "staff@example.com", "required": True, **OFF},
    ]  # fmt: skip


def test_json_without_users_is_an_empty_array(run_command, db):
    assert json.loads(run_command("twofactor", "report", "--json")) == []


@pytest.mark.usefixtures("users")
def test_csv_has_the_same_columns_and_values(run_command):
    names, *rows = csv.reader(run_command("twofactor", "report", "--csv").splitlines())
    assert names == [
        "user", "on", "required", "since", "methods", "passkeys", "unusable_passkeys", "backup_codes_left", "last_used",
        "waits_until", "secret_opens",
    ]  # fmt: skip
    assert rows[0] == [
        "ada@example.com", "true", "false", "2026-01-02T03:04:05Z", "code backup", "0", "0", "8",
        "2026-03-03T00:00:00Z", "2096-10-02T07:06:40Z", "true",
    ]  # fmt: skip
    assert rows[1] == ["bob@example.com", "false", "false", "", "", "0", "0", "0", "", "", ""]
    assert len(rows) == 3


def test_passkeys_are_listed_with_those_of_another_domain(run_command, user, bob, make_passkey, settings):
    for owner, rp_id in [(user, "example.com"), (user, "testserver"), (bob, "testserver")]:
        Passkey.objects.add(owner, make_passkey(rp_id=rp_id))
    Passkey.objects.filter(rp_id="testserver").update(last_used_at=datetime(2026, 4, 4, tzinfo=UTC))
    by_pk = {entry["user"]: entry for entry in json.loads(run_command("twofactor", "report", "--json"))}
    columns = ("methods", "passkeys", "unusable_passkeys", "backup_codes_left", "last_used")
    assert [[by_pk[each.email][name] for name in columns] for each in (user, bob)] == [
        [["passkey", "backup"], 2, 1, 10, "2026-04-04T00:00:00Z"],
        [["passkey", "code", "backup"], 1, 0, 10, "2026-04-04T00:00:00Z"],
    ]
    lines = [" ".join(line.split()) for line in run_command("twofactor", "report").splitlines()]
    assert sorted(lines[:2]) == [
        "on ada@example.com: 2 passkeys (1 of another domain), no app, 10 backup codes left",
        "on bob@example.com: 1 passkey, an app, 10 backup codes left",
    ]
    assert "Passkeys of another domain than testserver, which cannot be used: 1" in lines
    assert "2 passkeys (1 of another domain), no app" in run_command("twofactor", "status", user.email)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv_has_no_formula(run_command, make_user, start):
    user = make_user()
    type(user).objects.update(username=f'{start}HYPERLINK("http://evil.example","x")')
    output = run_command("twofactor", "report", "--csv")
    _names, row = csv.reader(output.splitlines(keepends=True))
    assert row[0] == f'\'{start}HYPERLINK("http://evil.example","x")'


@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]])
def test_report_takes_two_queries_for_any_number_of_users(run_command, make_user, django_assert_num_queries, options):
    for number in range(5):
        AuthenticatorApp.objects.activate(make_user(f"user{number}@example.com"), secret="B" * 32)
    with django_assert_num_queries(2):
        run_command("twofactor", "report", *options)


@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]])
def test_report_fails_if_a_secret_does_not_open(run_command, bob, second_factor, capsys, options):
    """The secret of another user, in a row of a deactivated account, which the report does not list."""
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)
    AuthenticatorApp.objects.filter(second_factor__user=bob).update(sealed_secret=second_factor.app.sealed_secret)
    with pytest.raises(CommandError, match="Some secrets do not open"):
        run_command("twofactor", "report", *options)
    output = capsys.readouterr()
    assert "true" in output.out if options else "1 of 2 secrets open" in output.out
    assert f"user {bob.pk}: " in output.err


def test_a_secret_that_does_not_open_is_marked(run_command, second_factor, capsys):
    AuthenticatorApp.objects.update(sealed_secret="v1.lost.AAAA")
    with pytest.raises(CommandError):
        run_command("twofactor", "report", "--json")
    assert json.loads(capsys.readouterr().out)[0]["secret_opens"] is False


def test_report_shows_no_secret_and_no_digest(run_command, second_factor, secret):
    output = run_command("twofactor", "report", "--json")
    row = SecondFactor.objects.get()
    hidden = [secret, row.app.sealed_secret, row.version, *row.backup_codes.values_list("digest", flat=True)]
    assert [text for text in hidden if text in output] == []
