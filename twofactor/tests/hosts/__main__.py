"""`python -m twofactor.tests.hosts`: one site, chosen by its environment (settings.py), from empty to 2FA off again."""

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
    sign_in_elsewhere,
    sign_out,
    turn_off,
    turn_on,
)


class TestClient:
    """Django's own, whose cookies are a browser's."""

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
    """Ada, as this site has users; return what she signs in with."""
    users = get_user_model().objects
    if settings.BY_NAME:
        users.create_user("ada", "ada@example.com", PASSWORD)
        return "ada"
    ada = users.create_user("ada@example.com", PASSWORD)
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    return ada.email


def by_password_and_code(login):
    browser = TestClient()
    give_password(browser, login)
    with override_settings(PASSWORD_HASHERS=settings.PASSWORD_HASHERS[::-1]):
        # Checking the password replaces its hash; the session must go on.
        secret, codes = turn_on(browser, password=PASSWORD)
    tell_of_it()
    sign_out(browser)
    give_code(browser, give_password(browser, login), code=code(secret))
    assert "10 backup codes left" in say("status", login)
    assert "1 on, 0 off" in say("report")
    if "login-code" in settings.EXTRAS:
        sign_out(browser)
        browser.post(f"{ACCOUNTS}login/code/", email=login)
        mailed = re.search(r"^([A-Z0-9-]{6,})$", mail.outbox[-1].body, flags=re.MULTILINE)[1]
        page = browser.post(f"{ACCOUNTS}login/code/confirm/", code=mailed)
        give_code(browser, page, code=code(secret, steps_ahead=1))
    turn_off(browser, password=PASSWORD, backup_code=codes[0])


def tell_of_it():
    """By mail, to an address that nobody verified only where this site verifies none; in UTC, as it says."""
    flush()
    (message,) = [each for each in mail.outbox if "is now on" in each.body]
    assert message.to == ["ada@example.com"]
    assert "https://testserver/accounts/2fa/" in message.body
    moment = utc(SecurityEvent.objects.get(kind="turned_on").created_at)
    assert f"When: {date_format(moment, 'DATETIME_FORMAT')} (UTC)" in message.body


def by_a_name_that_two_have(login):
    get_user_model().objects.create_user("eve", "ada@example.com")
    assert "off" in say("status", login)
    try:
        say("reset", "ada@example.com")
    except CommandError as refused:
        assert "More than one" in str(refused)  # noqa: PT017 - pytest is not in here
    else:
        raise AssertionError("it took one of the two")


def say(*arguments):
    words = StringIO()
    call_command("twofactor", *arguments, stdout=words)
    return words.getvalue()


def by_somebody_elses_sign_in():
    """Someone who has no password: a fresh sign-in stands for it, and then the code."""
    browser, who = TestClient(), {"id": "7", "email": "bob@example.com", "email_verified": "on"}
    sign_in_elsewhere(browser, **who)
    session = browser.client.session
    fresh = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**record, "at": record["at"] - 301} for record in fresh]
    session.save()
    assert "<svg" not in browser.post(f"{SETTINGS}setup/").html
    session["account_authentication_methods"] = fresh
    session.save()
    secret, codes = turn_on(browser)
    sign_out(browser)
    give_code(browser, sign_in_elsewhere(browser, **who), code=code(secret))
    assert Authenticator.objects.count() == 1
    browser.post(f"{SETTINGS}disable/")
    assert Authenticator.objects.count() == 1, "a proof of nothing turned it off"
    turn_off(browser, backup_code=codes[0])


if __name__ == "__main__":
    setup_test_environment()
    call_command("migrate", verbosity=0, run_syncdb=True)
    call_command("check", fail_level="WARNING")
    ada = make_user()
    by_password_and_code(ada)
    if settings.BY_NAME:
        by_a_name_that_two_have(ada)
    if "social" in settings.EXTRAS:
        by_somebody_elses_sign_in()
    sys.stdout.write(f"done on Django {django.get_version()}\n")
