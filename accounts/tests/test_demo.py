"""`manage.py demo`."""

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from accounts.models import User
from twofactor.tests.helpers import give_password, is_signed_in


def test_the_demo_account_requires_debug(db):
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("demo")
    assert not User.objects.exists()


def test_the_demo_account_takes_no_address_of_another_account(make_user, settings):
    settings.DEBUG = True
    EmailAddress.objects.create(user=make_user(), email="demo@example.com", verified=True)
    with pytest.raises(CommandError, match="belongs to another account"):
        call_command("demo")
    assert not User.objects.filter(email="demo@example.com").exists()


def test_the_demo_account_can_sign_in_and_is_created_once_without_resetting_its_password(client, db, settings, capsys):
    settings.DEBUG = True
    call_command("demo")
    output = capsys.readouterr().out
    user = User.objects.get()
    assert user.email in output
    give_password(client, user, password=output.rsplit("/", 1)[1].strip())
    assert is_signed_in(client)
    user.set_password("a-password-of-my-own")
    user.save()
    call_command("demo")
    assert User.objects.get().check_password("a-password-of-my-own")
