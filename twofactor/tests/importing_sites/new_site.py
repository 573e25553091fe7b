"""The site that imports, on the same database: `python -m twofactor.tests.importing_sites.new_site FILE APP SETTINGS`.

Reads the sign-ins to attempt from its input, as a list of [username, field, value]. A value {"secret": ..., "after":
seconds} means the code at that time; it is entered now, or with "later": true at that time. The value for `passkey`
is a dumped SoftKey.
Prints the output of each import, and which attempts succeeded.
"""

import io
import json
import sys
import time
from contextlib import nullcontext
from unittest import mock

from django.core.management import call_command

from twofactor.tests.importing_sites import sites
from twofactor.tests.softkey import SoftKey

APPS = ["twofactor", "allauth", "allauth.account", "django_htmx"]
MIDDLEWARE = [
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "twofactor.middleware.TwofactorMiddleware",
]


def main(database, app, *apps, **more):
    sites.set_up(
        database,
        apps=[*APPS, *apps],
        middleware=MIDDLEWARE,
        base="{% block content %}{% endblock %}",
        ROOT_URLCONF="twofactor.tests.importing_sites.new_site_urls",
        ACCOUNT_ADAPTER="twofactor.account.AccountAdapter",
        ACCOUNT_EMAIL_VERIFICATION="none",
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        LOGIN_REDIRECT_URL="/",
        TWOFACTOR_KEYS=f"test:{'A' * 43}=",
        **{"LOGGING": {"version": 1, "handlers": {"err": {"class": "logging.StreamHandler"}}}, **more},
    )
    sites.migrate()
    from twofactor.models import SecondFactor

    before = SecondFactor.objects.count()
    outputs = [run_import(app, "--dry-run")]
    assert SecondFactor.objects.count() == before
    outputs += [run_import(app), run_import(app)]
    attempts = [attempt(*each) for each in json.load(sys.stdin)]
    json.dump({"outputs": outputs, "attempts": attempts}, sys.stdout)


def run_import(app, *options):
    output = io.StringIO()
    call_command("twofactor", "import", app, *options, stdout=output)
    return output.getvalue()


def attempt(username, field, value):
    """Return whether this user signs in with the password and this value."""
    if field == "passkey":
        return sign_in_with_passkey(username, SoftKey.load(value))
    if not isinstance(value, dict):
        return sign_in(username, field, value)
    moment = time.time() + value["after"]
    code = sites.code_at(value["secret"], moment)
    with mock.patch("time.time", return_value=moment) if value.get("later") else nullcontext():
        return sign_in(username, field, code)


def sign_in(username, field, value):
    browser = sites.give_password("/login/", {"login": username, "password": sites.PASSWORD})
    assert not sites.is_signed_in(browser), "2FA is off"
    browser.post("/2fa/verify-login/", {field: value})
    return sites.is_signed_in(browser)


def sign_in_with_passkey(username, key):
    browser = sites.give_password("/login/", {"login": username, "password": sites.PASSWORD})
    assert not sites.is_signed_in(browser), "2FA is off"
    form = browser.get("/2fa/verify-login/?method=passkey").context["form"]
    answer = key.get(json.loads(form.options)["publicKey"], origin=sites.ORIGIN)
    browser.post("/2fa/verify-login/", {"credential": json.dumps(answer), "ceremony": form["ceremony"].value()})
    return sites.is_signed_in(browser)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *sys.argv[4:], **json.loads(sys.argv[3]))
