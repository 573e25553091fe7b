"""Key rotation as in docs/deploy.md, "New keys": two machines with one database get each change one after the other."""

from django.core.management import call_command

from twofactor.models import AuthenticatorApp
from twofactor.tests.helpers import code_now, new_client, sign_in, turn_on

OLD = "2026:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
NEW = "2027:bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE="


def test_keys_can_be_rotated_machine_by_machine_without_refusing_a_code(make_user, settings, capsys):
    settings.ACCOUNT_RATE_LIMITS = False
    machines, secrets = [OLD, OLD], {}
    for keys in (OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW):
        if keys == NEW:
            call_command("twofactor", "rotate-keys")
            assert "secrets that do not open: 0" in capsys.readouterr().out
        for number in (0, 1):
            machines[number] = keys
            for machine in machines:
                settings.TWOFACTOR_KEYS = machine
                newcomer = make_user(f"user-{len(secrets)}@example.com")
                secrets[newcomer], _ = turn_on(new_client(), newcomer)
            veteran, *newcomers = secrets
            for machine in machines:
                settings.TWOFACTOR_KEYS = machine
                AuthenticatorApp.objects.update(last_time_step=-1)
                for user in (veteran, *newcomers[-2:]):
                    sign_in(new_client(), user, code=code_now(secrets[user]))
