"""`manage.py twofactor rotate-keys`: row by row, may be killed and run again, and undoes nothing."""

import pytest
from django.core.management import CommandError

from twofactor import crypto
from twofactor.models import Authenticator

OLD = "test:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
NEW = "new:bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE="


@pytest.fixture
def three(make_user):
    """Three users with 2FA on, each with a secret of their own."""
    secrets = {letter: letter * 32 for letter in "ABC"}
    for letter, secret in secrets.items():
        Authenticator.objects.activate(make_user(f"{letter}@example.com"), secret=secret)
    return secrets


def kids():
    return [crypto.kid_of(row.sealed_secret) for row in Authenticator.objects.order_by("pk")]


def test_rotating_seals_every_secret_with_the_first_key(run_command, three, settings):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    before = list(Authenticator.objects.order_by("pk").values_list("version", "last_time_step"))
    assert "sealed with key new: 3;" in run_command("twofactor", "rotate-keys")
    assert kids() == ["new"] * 3
    settings.TWOFACTOR_KEYS = NEW
    assert [row.secret for row in Authenticator.objects.order_by("pk")] == list(three.values())
    assert list(Authenticator.objects.order_by("pk").values_list("version", "last_time_step")) == before


def test_rotating_again_changes_nothing(run_command, three, settings):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    run_command("twofactor", "rotate-keys")
    before = list(Authenticator.objects.values())
    assert ": 0; secrets" in run_command("twofactor", "rotate-keys")
    assert list(Authenticator.objects.values()) == before


def test_rotating_may_be_killed_half_way_and_run_again(run_command, three, settings, monkeypatch):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    sealed, seal = [], crypto.Keyring.seal

    def killed_at_the_second(keyring, secret, *, owner):
        sealed.append(owner)
        if len(sealed) == 2:
            raise KeyboardInterrupt
        return seal(keyring, secret, owner=owner)

    with monkeypatch.context() as patch:
        patch.setattr(crypto.Keyring, "seal", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run_command("twofactor", "rotate-keys")
    assert kids() == ["new", "test", "test"]
    assert [row.secret for row in Authenticator.objects.order_by("pk")] == list(three.values())
    assert ": 2; secrets" in run_command("twofactor", "rotate-keys")
    assert kids() == ["new"] * 3


def test_a_secret_that_does_not_open_stops_none_of_the_others(run_command, three, settings, capsys):
    Authenticator.objects.filter(user__email="b@example.com").update(sealed_secret="v1.lost.AAAA")
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    with pytest.raises(CommandError):
        run_command("twofactor", "rotate-keys")
    assert kids() == ["new", "lost", "new"]
    assert "no key lost" in capsys.readouterr().err


def test_a_secret_under_the_first_keys_own_id_that_does_not_open_is_counted_too(run_command, three, settings, capsys):
    settings.TWOFACTOR_KEYS = f"test:{NEW.split(':')[1]}"
    with pytest.raises(CommandError):
        run_command("twofactor", "rotate-keys")
    assert "sealed with key test: 0; secrets that do not open: 3" in capsys.readouterr().out


def test_rotating_undoes_no_new_phone_that_came_meanwhile(run_command, user, authenticator, settings, monkeypatch):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    seal = crypto.Keyring.seal

    def new_phone_meanwhile(keyring, secret, *, owner):
        monkeypatch.setattr(crypto.Keyring, "seal", seal)
        Authenticator.objects.activate(user, secret="B" * 32)
        return seal(keyring, secret, owner=owner)

    monkeypatch.setattr(crypto.Keyring, "seal", new_phone_meanwhile)
    assert ": 0; secrets" in run_command("twofactor", "rotate-keys")
    assert Authenticator.objects.get().secret == "B" * 32


def test_rotating_names_no_secret(run_command, three, settings):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    said = run_command("twofactor", "rotate-keys")
    assert not any(secret in said for secret in three.values())
    assert NEW.split(":")[1] not in said
