"""`manage.py twofactor status|reset|report`."""

import logging

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from twofactor.models import AuthenticatorApp, SecondFactor, TrustedBrowser
from twofactor.tests.helpers import code_now, is_signed_in, new_client, sign_in
from twofactor.tests.rows import event_kinds

ACTIONS = ["status ada@example.com", "reset ada@example.com", "report", "prune", "rotate-keys", "import allauth"]


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
    assert f"on since {second_factor.created_at:%Y-%m-%d}" in output
    assert "10 backup codes left" in output
    assert "not checked" not in output
    assert secret not in output
    SecondFactor.objects.update(delayed_until=4_000_000_000)
    assert "not checked" in run_command("twofactor", "status", user.email)


@pytest.mark.parametrize("action", ["status", "reset"])
def test_an_unknown_address_is_an_error(run_command, db, action):
    with pytest.raises(CommandError, match="No user has the email or username nobody@example"):
        run_command("twofactor", action, "nobody@example.com")


def test_reset_turns_2fa_off_and_ends_all_sessions(run_command, user, second_factor, secret, emails_to, caplog):
    browser = sign_in(new_client(), user, code=code_now(secret))
    TrustedBrowser.objects.create(user=user, digest="x", binding="y", expires_at=second_factor.created_at)
    with caplog.at_level(logging.INFO, "twofactor"):
        run_command("twofactor", "reset", user.email, "--reason", "lost phone, passport seen")
    assert not SecondFactor.objects.exists()
    assert not is_signed_in(browser)
    assert not TrustedBrowser.objects.exists()
    assert event_kinds() == ["reset_by_staff"]
    assert "lost phone, passport seen" in caplog.text
    (email,) = emails_to(user.email)
    assert "lost phone, passport seen" in email.body


def test_reset_with_2fa_off_changes_nothing_and_sends_no_email(run_command, make_user, second_factor, emails_to):
    bob = make_user("bob@example.com")
    assert "already off" in run_command("twofactor", "reset", bob.email)
    assert list(SecondFactor.objects.all()) == [second_factor]
    assert event_kinds() == []
    assert not emails_to(bob.email)


def test_report_lists_users_with_2fa_and_users_who_are_required_to_have_it(run_command, make_user, second_factor):
    make_user("bob@example.com")
    make_user("staff@example.com", is_staff=True)
    make_user("gone@example.com", is_active=False)
    lines = run_command("twofactor", "report").splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "on ada@example.com: 10 backup codes left",
        "MISSING staff@example.com: off, but required",
        "1 on, 2 off (1 of them required to have it)",
        "1 of 1 secrets open",
    ]


def test_report_takes_two_queries_for_any_number_of_users(run_command, make_user, django_assert_num_queries):
    for number in range(5):
        AuthenticatorApp.objects.activate(make_user(f"user{number}@example.com"), secret="B" * 32)
    with django_assert_num_queries(2):
        run_command("twofactor", "report")


def test_report_fails_if_a_secret_does_not_open(run_command, bob, second_factor, capsys):
    """The secret of another user, in a row of a deactivated account."""
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)
    AuthenticatorApp.objects.filter(second_factor__user=bob).update(sealed_secret=second_factor.app.sealed_secret)
    with pytest.raises(CommandError, match="Some secrets do not open"):
        run_command("twofactor", "report")
    output = capsys.readouterr()
    assert "1 of 2 secrets open" in output.out
    assert f"user {bob.pk}: " in output.err
