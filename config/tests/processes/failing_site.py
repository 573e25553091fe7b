"""Fail in several places of the site, with secrets in requests, local variables and log fields. Print what it knows.

test_errors.py runs this in a child with Sentry's SDK, and looks at what is reported. What a request sends is an
argument, because Sentry reports lines of the source.
"""

import json
import logging
import sys
import time

import sentry_sdk
from allauth.account import views
from django.conf import settings
from django.test import Client

from config.tests.processes import site_helpers
from twofactor import totp
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN
from twofactor.tests.rfc6238 import code_at
from twofactor.views import settings as settings_view


def main(link_token, bearer, query, referer, address):
    (ada,) = site_helpers.make_users(["ada@example.com"], PASSWORD, [totp.new_secret()])
    secret, backup_codes = ada["secret"], ada["backup_codes"]
    code = code_at(secret, time.time())

    def broken_page(view, request, *args, **kwargs):
        local_password, local_cookies = request.POST["password"], request.COOKIES  # noqa: F841 - must not be reported
        logging.getLogger("twofactor").warning("event=code_refused ip=%s", address)
        raise ValueError(f"no page at {request.path}")

    def broken_status(*args):
        local_secret, local_codes = secret, backup_codes  # noqa: F841 - must not be reported
        raise ZeroDivisionError

    headers = {"Authorization": f"Bearer {bearer}", "Referer": f"http://x/y?z={referer}"}
    client = Client(raise_request_exception=False, headers=headers)
    client.get(LOGIN)
    client.post(LOGIN, {"login": ada["email"], "password": PASSWORD})
    client.post(VERIFY_LOGIN, {"code": code})
    settings_view.status_of = broken_status
    signed_in = client.get(SETTINGS)
    fields = {"code": code, "backup_code": backup_codes[0], "email": ada["email"], "ip": address, "step": 7}
    logging.getLogger("twofactor").error("failed at step %s", 7, extra={"fields": fields})
    views.PasswordResetFromKeyView.dispatch = broken_page
    path = f"/accounts/password/reset/key/1-abc123-{link_token}/?leak={query}"
    visitor = Client(raise_request_exception=False, headers=headers)
    signed_out = visitor.post(path, {"password": PASSWORD}, REMOTE_ADDR=address)
    sentry_sdk.flush(10)
    cookies = [client.cookies[name].value for name in ("sessionid", "csrftoken")]
    keys = [settings.SECRET_KEY, settings.TWOFACTOR_KEYS.split(":")[1]]
    sent = [link_token, bearer, query, referer, address, ada["email"]]
    return {
        "statuses": [signed_in.status_code, signed_out.status_code],
        "request": signed_in["X-Request-ID"],
        "user": ada["pk"],
        "hidden": [PASSWORD, code, secret, *backup_codes, *keys, *cookies, *sent],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
