"""Run a site in which a user turns 2FA on and off. See settings.py for options. Start it by tests/with_django.py."""

import re
import sys
from io import StringIO

import django
import httpx
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.templatetags.tz import utc
from django.test import SimpleTestCase
from django.test.utils import override_settings, setup_test_environment
from django.utils.formats import date_format

from twofactor.models import SecondFactor, SecurityEvent
from twofactor.tests import journeys
from twofactor.tests.constants import ACTIVITY, DISABLE, NOT_ME, PASSWORD
from twofactor.tests.journeys import (
    SiteUser,
    copy_of,
    give_password,
    is_signed_in,
    pass_stage,
    post,
    sign_in_by_provider,
    sign_out,
    start_setup,
    turn_off,
    turn_on,
)

LOGIN_CODE = "/accounts/login/code/"


def new_client():
    return journeys.new_client(f"http://{settings.ALLOWED_HOSTS[0]}")


def make_user():
    """Create Ada, who signs in by her name or by her address."""
    users = get_user_model().objects
    if settings.BY_NAME:
        return SiteUser(users.create_user("ada", "ada@example.com", PASSWORD).pk, "ada")
    ada = users.create_user("ada@example.com", PASSWORD)
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    return SiteUser(ada.pk, ada.email)


def use_password_and_code(user):
    client = new_client()
    give_password(client, user)
    with override_settings(PASSWORD_HASHERS=settings.PASSWORD_HASHERS[::-1]):
        # Checking the password updates its hash. The session must stay valid.
        turn_on(client, user, steps_ahead=-1)
    check_email()
    end_other_sessions(client)
    sign_out(client)
    give_password(client, user)
    pass_stage(client, code=user.code())
    assert "10 backup codes left" in run_command("status", user.email)
    assert "1 on, 0 off" in run_command("report")
    if "login-code" in settings.EXTRAS:
        sign_out(client)
        post(client, LOGIN_CODE, {"email": user.email})
        emailed = re.search(r"^([A-Z0-9-]{6,})$", mail.outbox[-1].body, flags=re.MULTILINE)[1]
        post(client, f"{LOGIN_CODE}confirm/", {"code": emailed})
        pass_stage(client, code=user.code(steps_ahead=1))
    turn_off(client, password=PASSWORD, backup_code=user.backup_codes[0])


def end_other_sessions(client):
    """End another session with the same cookies, also if allauth lists no sessions."""
    other = copy_of(client)
    post(client, NOT_ME)
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert "Signed out everywhere else" in client.get(ACTIVITY).text


def check_email():
    """The email goes to a verified address, or to any where the site verifies none. Its time is in UTC."""
    (message,) = [each for each in mail.outbox if "is now on" in each.body]
    assert message.to == ["ada@example.com"]
    assert f"https://{settings.ALLOWED_HOSTS[0]}/accounts/2fa/" in message.body
    moment = utc(SecurityEvent.objects.get(kind="turned_on").created_at)
    assert f"When: {date_format(moment, 'DATETIME_FORMAT')} (UTC)" in message.body


def use_an_ambiguous_address():
    get_user_model().objects.create_user("eve", "ada@example.com")
    assert "off" in run_command("status", "ada")
    with SimpleTestCase().assertRaisesMessage(CommandError, "More than one"):
        run_command("reset", "ada@example.com", "--reason=lost phone")


def run_command(*arguments):
    output = StringIO()
    call_command("twofactor", *arguments, stdout=output)
    return output.getvalue()


def use_a_provider():
    """A user without a password proves themselves by a recent sign-in at the provider, and then by a code."""
    client = new_client()
    account = {"id": "7", "email": "bob@example.com", "email_verified": "on"}
    sign_in_by_provider(client, account)
    session = SessionStore(client.cookies[settings.SESSION_COOKIE_NAME])
    fresh = session["account_authentication_methods"]
    for methods, is_accepted in (([record | {"at": record["at"] - 301} for record in fresh], False), (fresh, True)):
        session["account_authentication_methods"] = methods
        session.save()
        assert bool(start_setup(client)) is is_accepted
    bob = turn_on(client, SiteUser(0, "bob@example.com"), steps_ahead=-1)
    sign_out(client)
    sign_in_by_provider(client, account)
    pass_stage(client, code=bob.code())
    assert SecondFactor.objects.count() == 1
    post(client, DISABLE)
    assert SecondFactor.objects.count() == 1, "2FA was turned off without a proof"
    turn_off(client, backup_code=bob.backup_codes[0])


if __name__ == "__main__":
    setup_test_environment()
    journeys.TRANSPORT = httpx.WSGITransport(get_wsgi_application())
    call_command("migrate", verbosity=0, run_syncdb=True)
    call_command("check", fail_level="WARNING")
    ada = make_user()
    use_password_and_code(ada)
    if settings.BY_NAME:
        use_an_ambiguous_address()
    if "social" in settings.EXTRAS:
        use_a_provider()
    sys.stdout.write(f"done on Django {django.get_version()}\n")
