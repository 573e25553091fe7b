"""The Django half of the Django + Next.js pair: its rows, as its views write them."""

import secrets

import pyotp

from twofactor.tests.importing_sites import sites

SETTINGS = {"apps": ["twofactor.tests.importing_sites.pair"], "AUTH_USER_MODEL": "pair.User"}


def create_users():
    sites.migrate()
    from twofactor.tests.importing_sites.pair.models import TwoFactorAuth, User

    def turn_on(name, **fields):
        user = User.objects.create_user(f"{name}@example.com", sites.PASSWORD, full_name=name.title())
        secret, codes = pyotp.random_base32(), [secrets.token_hex(4).upper() for _ in range(10)]
        fields = {"secret_key": secret, "backup_codes": codes, "is_enabled": True} | fields
        TwoFactorAuth.objects.create(user=user, **fields)
        return {"key": user.pk, "secret": secret, "code": sites.code_now(secret), "unused": codes, "used": []}

    def use_up(name, code):
        row = TwoFactorAuth.objects.get(user__email=f"{name}@example.com")
        row.backup_codes.remove(code)
        row.save()
        return code

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, TwoFactorAuth)
    TwoFactorAuth.objects.filter(user=users["ada"]["key"]).update(updated_at=sites.yesterday())
    turn_on("carol", is_enabled=False)  # without entering a code
    dan = turn_on("dan", secret_key="", backup_codes=[])  # the pair accepts codes of an empty secret
    return users | {"dan": {"key": dan["key"]}}
