"""`manage.py twofactor status|reset|unlock`, and the options of all actions."""

import itertools
import logging
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from twofactor.models import AuthenticatorApp, SecondFactor, TrustedBrowser
from twofactor.tests.helpers import code_now, is_signed_in, new_client, sign_in
from twofactor.tests.rows import counters, event_kinds, update

REASON = ("--reason", "lost phone, passport seen")
ACTIONS = [
    "status ada@example.com", "reset ada@example.com --reason x", "unlock ada@example.com --reason x", "report",
    "report --csv", "prune", "rotate-keys", "import allauth",
]  # fmt: skip


@pytest.fixture
def parsed():
    """Return the options that the command parses from a command line."""
    parser = load_command_class(get_commands()["twofactor"], "twofactor").create_parser("manage.py", "twofactor")
    return lambda line: vars(parser.parse_args(line.split()))


@pytest.mark.parametrize("action", ACTIONS)
def test_options_of_django_are_accepted_before_and_after_the_action(parsed, action):
    options = {"settings": "mysite.settings", "traceback": True, "no_color": True}
    line = "--settings mysite.settings --traceback --no-color"
    for full in (f"{line} {action}", f"{action} {line}"):
        assert {name: parsed(full)[name] for name in options} == options
    assert not any(parsed(action)[name] for name in options)


def test_status_shows_whether_2fa_is_off_or_required(run_command, user, make_user):
    make_user("staff@example.com", is_staff=True)
    assert run_command("twofactor", "status", user.email) == f"{user.email}: off\n"
    assert run_command("twofactor", "status", "staff@example.com") == "staff@example.com: off, but required\n"


def test_status_shows_when_2fa_was_turned_on_the_codes_left_and_a_delay(run_command, user, second_factor, secret):
    output = run_command("twofactor", "status", user.email.upper())
    assert output == f"{user.email}: on since {second_factor.created_at:%Y-%m-%d %H:%M:%S} UTC, 10 backup codes left\n"
    AuthenticatorApp.objects.update(last_used_at=datetime(2026, 11, 27, 20, 15, 30, tzinfo=UTC), sealed_secret="v1.x.y")
    SecondFactor.objects.update(delayed_until=4_000_000_000)
    output = run_command("twofactor", "status", user.email)
    assert "last used 2026-11-27 20:15:30 UTC" in output
    assert "codes are not checked until 2096-10-02 07:06:40 UTC" in output
    assert "the secret does not open" in output


@pytest.mark.parametrize("action", ["status", "reset", "unlock"])
def test_unknown_users_are_named_and_the_others_are_done(run_command, make_user, second_factor, action, capsys):
    """CommandError makes the exit status 1."""
    make_user("bob@example.com")
    names = ["nobody@example.com", "ada@example.com", "\udcff", "bob@example.com"]
    with pytest.raises(CommandError) as error:
        run_command("twofactor", action, *names, *(() if action == "status" else REASON))
    assert str(error.value).splitlines() == [
        "No user has the email or username nobody@example.com.", "No user has the email or username ?.",
    ]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["ada@example.com", "bob@example.com"]


# --- The reason -----------------------------------------------------------------------------------


@pytest.mark.parametrize("action, reason", [
    ("unlock", []), *itertools.product(["reset", "unlock"], [["--reason", ""], ["--reason", " \n"]]),
])  # fmt: skip
def test_unlock_requires_a_reason_and_reset_refuses_a_blank_one(run_command, user, second_factor, action, reason):
    update(second_factor, delayed_until=4_000_000_000)
    with pytest.raises(CommandError, match="--reason"):
        run_command("twofactor", action, user.email, *reason)
    assert event_kinds() == []
    assert SecondFactor.objects.get().delayed_until


def test_a_reason_is_one_line_cut_at_500_characters_and_can_always_be_emailed(
    run_command, user, second_factor, emails_to
):
    run_command("twofactor", "reset", user.email, "--reason", f"  \udcff\n{'x' * 498}yz")
    (email,) = emails_to(user.email)
    assert f"? {'x' * 498}\n" in email.body
    assert email.message().as_bytes()


def test_a_reset_without_a_reason_sends_an_email_without_one(run_command, user, second_factor, emails_to):
    run_command("twofactor", "reset", user.email)
    (email,) = emails_to(user.email)
    assert "Reason:" not in email.body


# --- Reset ----------------------------------------------------------------------------------------


def test_reset_turns_2fa_off_and_ends_all_sessions(run_command, user, second_factor, secret, emails_to, caplog):
    browser = sign_in(new_client(), user, code=code_now(secret))
    TrustedBrowser.objects.create(user=user, digest="x", binding="y", expires_at=second_factor.created_at)
    with caplog.at_level(logging.INFO, "twofactor"):
        run_command("twofactor", "reset", user.email, *REASON)
    assert not SecondFactor.objects.exists()
    assert not is_signed_in(browser)
    assert not TrustedBrowser.objects.exists()
    assert event_kinds() == ["reset_by_staff"]
    assert "lost phone, passport seen" in caplog.text
    (email,) = emails_to(user.email)
    assert "lost phone, passport seen" in email.body


def test_reset_with_2fa_off_changes_nothing_and_sends_no_email(run_command, make_user, second_factor, emails_to):
    bob = make_user("bob@example.com")
    assert "already off" in run_command("twofactor", "reset", bob.email, *REASON)
    assert list(SecondFactor.objects.all()) == [second_factor]
    assert event_kinds() == []
    assert not emails_to(bob.email)


# --- Unlock ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("throttle", [
    {"failures": 5, "delayed_until": 4_000_000_000}, {"budget_spent": 100, "budget_began": 4_000_000_000}
], ids=["delay", "lock"])  # fmt: skip
def test_unlock_ends_delay_and_lock_and_keeps_2fa_and_sessions(
    run_command, user, bob, second_factor, secret, emails_to, caplog, throttle
):
    browser = sign_in(new_client(), user, code=code_now(secret))
    version = second_factor.version
    for each in (second_factor, bob.second_factor):
        update(each, **throttle)
    with caplog.at_level(logging.INFO, "twofactor"):
        assert "codes are unlocked" in run_command("twofactor", "unlock", user.email, *REASON)
    second_factor.refresh_from_db()
    assert (second_factor.seconds_to_wait(), second_factor.version, counters(second_factor)) == (0, version, (0, 0, 0))
    assert SecondFactor.objects.get(user=bob).seconds_to_wait() > 0
    assert is_signed_in(browser)
    assert event_kinds() == ["unlocked_by_staff"]
    assert "lost phone, passport seen" in caplog.text
    (email,) = emails_to(user.email)
    assert "lost phone, passport seen" in email.body


def test_unlock_without_a_delay_or_with_2fa_off_says_so_and_changes_nothing(
    run_command, make_user, user, second_factor, emails_to
):
    make_user("bob@example.com")
    update(second_factor, failures=4)
    assert run_command("twofactor", "unlock", user.email, "bob@example.com", *REASON).splitlines() == [
        "ada@example.com: codes were not locked.", "bob@example.com: 2FA is off.",
    ]  # fmt: skip
    assert counters(second_factor)[0] == 4
    assert event_kinds() == []
    assert not emails_to(user.email)
