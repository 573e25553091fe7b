"""The site that they come to, on the same database file. `python -m twofactor.tests.importing_sites.new_site FILE APP`.

Reads from its input who tries to sign in how: a list of [username, field, value], where a value of {"secret": ...,
"after": seconds} stands for the code at that time. It is typed now, or with "later": true at that time too.
Prints what the import said and which of the tries got in.
"""

import io
import json
import sys
import time
from contextlib import nullcontext
from unittest import mock

from django.core.management import call_command

from twofactor.tests.importing_sites import sites

HERE = "twofactor.tests.importing_sites"
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
        ROOT_URLCONF=f"{HERE}.new_site_urls",
        ACCOUNT_ADAPTER=f"{HERE}.new_site_urls.Adapter",
        ACCOUNT_EMAIL_VERIFICATION="none",
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        LOGIN_REDIRECT_URL="/",
        TWOFACTOR_KEYS=f"test:{'A' * 43}=",
        **{"LOGGING": {"version": 1, "handlers": {"err": {"class": "logging.StreamHandler"}}}, **more},
    )
    sites.migrate()
    from twofactor.models import Authenticator

    before = Authenticator.objects.count()
    said = [bring(app, "--dry-run")]
    assert Authenticator.objects.count() == before
    said += [bring(app), bring(app)]
    json.dump({"said": said, "tries": [gets_in(*each) for each in json.load(sys.stdin)]}, sys.stdout)


def bring(app, *options):
    said = io.StringIO()
    call_command("twofactor", "import", app, *options, stdout=said)
    return said.getvalue()


def gets_in(username, field, value):
    """Whether this user signs in with the password and this."""
    if not isinstance(value, dict):
        return passes(username, field, value)
    moment = time.time() + value["after"]
    code = sites.code_at(value["secret"], moment)
    with mock.patch("time.time", return_value=moment) if value.get("later") else nullcontext():
        return passes(username, field, code)


def passes(username, field, value):
    browser = sites.past_password("/login/", {"login": username, "password": sites.PASSWORD})
    assert not sites.signed_in(browser), "2FA is off"
    browser.post("/2fa/verify-login/", {field: value})
    return sites.signed_in(browser)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *sys.argv[4:], **json.loads(sys.argv[3]))
