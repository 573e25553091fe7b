"""`manage.py demo`."""

import pytest
from django.core.management import CommandError, call_command

from twofactor.tests.helpers import is_signed_in, new_client


@pytest.fixture
def run_demo(db, capsys):
    """Run the command and return its output."""

    def run_demo():
        call_command("demo")
        return capsys.readouterr().out

    return run_demo


def test_the_demo_account_requires_debug(run_demo, settings, django_user_model):
    with pytest.raises(CommandError, match="DEBUG"):
        run_demo()
    assert not django_user_model.objects.exists()


def test_the_demo_account_can_sign_in_and_is_created_once(run_demo, settings, django_user_model):
    settings.DEBUG = True
    output = run_demo()
    user = django_user_model.objects.get()
    password = output.rsplit("/", 1)[1].strip()
    assert user.email in output
    client = new_client()
    client.post("/accounts/login/", {"login": user.email, "password": password})
    assert is_signed_in(client)
    assert run_demo() == output
    assert django_user_model.objects.count() == 1


def test_the_demo_command_does_not_reset_a_changed_password(run_demo, settings, django_user_model):
    settings.DEBUG = True
    run_demo()
    user = django_user_model.objects.get()
    user.set_password("a-password-of-my-own")
    user.save()
    run_demo()
    user.refresh_from_db()
    assert user.check_password("a-password-of-my-own")
