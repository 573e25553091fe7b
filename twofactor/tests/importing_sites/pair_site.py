"""The Django half of the Django + Next.js pair. Its views only call its models, and so does this module."""

import sys

from twofactor.tests.importing_sites import sites


def main(database):
    sites.set_up(database, apps=["twofactor.tests.importing_sites.pair"], AUTH_USER_MODEL="pair.User")
    sites.migrate()
    from twofactor.tests.importing_sites.pair.models import TwoFactorAuth

    users = sites.turn_on_long_ago_and_now(turn_on, use_up, TwoFactorAuth)
    TwoFactorAuth.objects.filter(user=users["ada"]["key"]).update(updated_at=sites.yesterday())
    make_user("carol").get_2fa_object().set_up()  # without entering a code
    dan = make_user("dan")
    # The pair accepts codes of an empty secret.
    TwoFactorAuth.objects.create(user=dan, is_enabled=True)
    sites.print_users(users | {"dan": {"key": dan.pk}})


def make_user(name):
    from twofactor.tests.importing_sites.pair.models import User

    return User.objects.create_user(f"{name}@example.com", sites.PASSWORD, full_name=name.title())


def turn_on(name):
    row = make_user(name).get_2fa_object()
    row.set_up()
    code = sites.code_now(row.secret_key)
    assert row.verify_setup(code)
    return {"key": row.user_id, "secret": row.secret_key, "code": code, "unused": row.backup_codes, "used": []}


def use_up(name, code):
    from twofactor.tests.importing_sites.pair.models import TwoFactorAuth

    assert TwoFactorAuth.objects.get(user__email=f"{name}@example.com").verify_backup_code(code)
    return code


if __name__ == "__main__":
    main(*sys.argv[1:])
