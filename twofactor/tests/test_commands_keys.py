"""`manage.py twofactor rotate-keys`."""

import pytest
from django.core.management import CommandError

from twofactor import crypto
from twofactor.models import AuthenticatorApp

pytestmark = pytest.mark.database

OLD = "test:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
NEW = "new:bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE="


@pytest.fixture
def three_secrets(make_user):
    """The secrets of three users with 2FA on."""
    secrets = [letter * 32 for letter in "ABC"]
    for secret in secrets:
        AuthenticatorApp.objects.activate(make_user(f"{secret[0]}@example.com"), secret=secret)
    return secrets


def key_ids():
    return [crypto.kid_of(row.sealed_secret) for row in AuthenticatorApp.objects.order_by("pk")]


def test_rotation_seals_every_secret_with_the_first_key(run_command, three_secrets, settings):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    before = list(AuthenticatorApp.objects.order_by("pk").values_list("second_factor__version", "last_time_step"))
    output = run_command("twofactor", "rotate-keys")
    assert "sealed with key new: 3;" in output
    assert not any(hidden in output for hidden in [*three_secrets, NEW.split(":")[1]])
    assert ": 0; secrets" in run_command("twofactor", "rotate-keys")
    assert key_ids() == ["new"] * 3
    settings.TWOFACTOR_KEYS = NEW
    assert [row.secret for row in AuthenticatorApp.objects.order_by("pk")] == three_secrets
    assert (
        list(AuthenticatorApp.objects.order_by("pk").values_list("second_factor__version", "last_time_step")) == before
    )


def test_an_interrupted_rotation_can_be_run_again(run_command, three_secrets, settings, monkeypatch):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    sealed = []
    seal = crypto.Keyring.seal

    def interrupted_at_the_second(keyring, secret, *, owner):
        sealed.append(owner)
        if len(sealed) == 2:
            raise KeyboardInterrupt
        return seal(keyring, secret, owner=owner)

    with monkeypatch.context() as patch:
        patch.setattr(crypto.Keyring, "seal", interrupted_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run_command("twofactor", "rotate-keys")
    assert key_ids() == ["new", "test", "test"]
    assert [row.secret for row in AuthenticatorApp.objects.order_by("pk")] == three_secrets
    assert ": 2; secrets" in run_command("twofactor", "rotate-keys")
    assert key_ids() == ["new"] * 3


def test_a_secret_that_does_not_open_does_not_stop_the_rotation(run_command, three_secrets, settings, capsys):
    AuthenticatorApp.objects.filter(second_factor__user__email__iexact="b@example.com").update(
        sealed_secret="v1.lost.AAAA"
    )
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    with pytest.raises(CommandError):
        run_command("twofactor", "rotate-keys")
    assert key_ids() == ["new", "lost", "new"]
    assert "no key lost" in capsys.readouterr().err


def test_a_secret_under_the_id_of_the_first_key_that_does_not_open_is_counted(
    run_command, three_secrets, settings, capsys
):
    settings.TWOFACTOR_KEYS = f"test:{NEW.split(':')[1]}"
    with pytest.raises(CommandError):
        run_command("twofactor", "rotate-keys")
    assert "sealed with key test: 0; secrets that do not open: 3" in capsys.readouterr().out


def test_a_phone_changed_during_the_rotation_is_kept(run_command, user, second_factor, settings, monkeypatch):
    settings.TWOFACTOR_KEYS = f"{NEW},{OLD}"
    seal = crypto.Keyring.seal

    def change_phone_first(keyring, secret, *, owner):
        monkeypatch.setattr(crypto.Keyring, "seal", seal)
        AuthenticatorApp.objects.activate(user, secret="B" * 32)
        return seal(keyring, secret, owner=owner)

    monkeypatch.setattr(crypto.Keyring, "seal", change_phone_first)
    assert ": 0; secrets" in run_command("twofactor", "rotate-keys")
    assert AuthenticatorApp.objects.get().secret == "B" * 32
