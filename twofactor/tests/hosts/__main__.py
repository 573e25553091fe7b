"""`python -m twofactor.tests.hosts` runs a site in which a user turns 2FA on and off. See settings.py for options."""

import os
import re
import sys
from io import StringIO

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "twofactor.tests.hosts.settings"
django.setup()

from allauth.account.models import EmailAddress  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core import mail  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.templatetags.tz import utc  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings, setup_test_environment  # noqa: E402
from django.utils.formats import date_format  # noqa: E402

from twofactor.mail import flush  # noqa: E402
from twofactor.models import Authenticator, SecurityEvent  # noqa: E402
from twofactor.tests.hosts.journey import (  # noqa: E402
    ACCOUNTS,
    PASSWORD,
    SETTINGS,
    Page,
    code,
    give_code,
    give_password,
    sign_in_by_provider,
    sign_out,
    turn_off,
    turn_on,
)


class TestClient:
    """A `Browser` on Django's test client."""

    def __init__(self):
        self.client = Client()

    def get(self, path):
        return self._page(self.client.get(path, follow=True))

    def post(self, path, **fields):
        return self._page(self.client.post(path, fields, follow=True))

    @staticmethod
    def _page(response):
        assert response.status_code < 500
        return Page(response.request["PATH_INFO"], response.content.decode())


def make_user():
    """Create Ada. Return the name or address that she signs in with."""
    users = get_user_model().objects
    if settings.BY_NAME:
        users.create_user("ada", "ada@example.com", PASSWORD)
        return "ada"
    ada = users.create_user("ada@example.com", PASSWORD)
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    return ada.email


def use_password_and_code(login):
    browser = TestClient()
    give_password(browser, login)
    with override_settings(PASSWORD_HASHERS=settings.PASSWORD_HASHERS[::-1]):
        # Checking the password updates its hash. The session must stay valid.
        secret, codes = turn_on(browser, password=PASSWORD)
    check_email()
    sign_out(browser)
    give_code(browser, give_password(browser, login), code=code(secret))
    assert "10 backup codes left" in run_command("status", login)
    assert "1 on, 0 off" in run_command("report")
    if "login-code" in settings.EXTRAS:
        sign_out(browser)
        browser.post(f"{ACCOUNTS}login/code/", email=login)
        mailed = re.search(r"^([A-Z0-9-]{6,})$", mail.outbox[-1].body, flags=re.MULTILINE)[1]
        page = browser.post(f"{ACCOUNTS}login/code/confirm/", code=mailed)
        give_code(browser, page, code=code(secret, steps_ahead=1))
    turn_off(browser, password=PASSWORD, backup_code=codes[0])


def check_email():
    """The email goes to a verified address, or to any where the site verifies none. Its time is in UTC."""
    flush()
    (message,) = [each for each in mail.outbox if "is now on" in each.body]
    assert message.to == ["ada@example.com"]
    assert "https://testserver/accounts/2fa/" in message.body
    moment = utc(SecurityEvent.objects.get(kind="turned_on").created_at)
    assert f"When: {date_format(moment, 'DATETIME_FORMAT')} (UTC)" in message.body


def use_an_ambiguous_address(login):
    get_user_model().objects.create_user("eve", "ada@example.com")
    assert "off" in run_command("status", login)
    try:
        run_command("reset", "ada@example.com")
    except CommandError as refused:
        assert "More than one" in str(refused)  # noqa: PT017 - this process has no pytest
    else:
        raise AssertionError("it chose one of two users")


def run_command(*arguments):
    output = StringIO()
    call_command("twofactor", *arguments, stdout=output)
    return output.getvalue()


def use_a_provider():
    """A user without a password proves themselves by a recent sign-in at the provider, and then by a code."""
    browser = TestClient()
    account = {"id": "7", "email": "bob@example.com", "email_verified": "on"}
    sign_in_by_provider(browser, **account)
    session = browser.client.session
    fresh = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**record, "at": record["at"] - 301} for record in fresh]
    session.save()
    assert "<svg" not in browser.post(f"{SETTINGS}setup/").html
    session["account_authentication_methods"] = fresh
    session.save()
    secret, codes = turn_on(browser)
    sign_out(browser)
    give_code(browser, sign_in_by_provider(browser, **account), code=code(secret))
    assert Authenticator.objects.count() == 1
    browser.post(f"{SETTINGS}disable/")
    assert Authenticator.objects.count() == 1, "2FA was turned off without a proof"
    turn_off(browser, backup_code=codes[0])


if __name__ == "__main__":
    setup_test_environment()
    call_command("migrate", verbosity=0, run_syncdb=True)
    call_command("check", fail_level="WARNING")
    ada = make_user()
    use_password_and_code(ada)
    if settings.BY_NAME:
        use_an_ambiguous_address(ada)
    if "social" in settings.EXTRAS:
        use_a_provider()
    sys.stdout.write(f"done on Django {django.get_version()}\n")
