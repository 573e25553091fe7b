"""Fail in several places of the site, with secrets in messages and local variables. Print what the site knows.

test_errors.py runs this in a child with Sentry's SDK, and looks at what is reported. What a request sends is an
argument, because Sentry reports lines of the source.
"""

import json
import logging
import sys
import time
from typing import Any

import sentry_sdk
from allauth.account import views
from django.conf import settings
from django.http import HttpRequest
from django.test import Client

from accounts.models import User
from config.tests.processes import site_helpers
from twofactor import totp
from twofactor.models import Authenticator
from twofactor.tests.journeys import LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN
from twofactor.tests.rfc6238 import code_at
from twofactor.views import settings as settings_view


def main(token: str, query: str, referer: str, address: str) -> dict[str, Any]:
    (ada,) = site_helpers.make_users(["ada@example.com"], PASSWORD, [totp.new_secret()])
    secret, backup_codes = ada["secret"], ada["backup_codes"]
    sealed = Authenticator.objects.get().sealed_secret
    code = code_at(secret, time.time())
    judge = Authenticator.judge

    def fail(self: Authenticator, code: str, **kwargs: Any) -> None:
        local_secret, local_codes = self.secret, backup_codes  # noqa: F841 - must not be reported
        logging.getLogger("twofactor").warning("event=code_refused ip=%s", address)
        held = [secret, self.sealed_secret, backup_codes[0], settings.SECRET_KEY]
        raise RuntimeError(f"cannot judge {code} or {code[:3]} {code[3:]} by {held}")

    def broken(view: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        raise ValueError(f"no page for {request.POST.get('password')} {request.COOKIES}")

    headers = {"Authorization": f"Bearer {token}", "Referer": f"http://x/y?z={referer}"}
    client = Client(raise_request_exception=False, headers=headers)
    client.get(LOGIN)
    client.post(LOGIN, {"login": ada["email"], "password": PASSWORD})
    Authenticator.judge = fail  # type: ignore[method-assign, assignment]
    refused = client.post(f"{VERIFY_LOGIN}?leak={query}", {"code": code}, REMOTE_ADDR=address)
    Authenticator.judge = judge  # type: ignore[method-assign]
    client.post(VERIFY_LOGIN, {"code": code})
    settings_view.status_of = lambda *args: 1 / 0  # type: ignore[attr-defined]
    signed_in = client.get(SETTINGS)
    fields = {"reason": backup_codes[1]}
    logging.getLogger("config.cache").error("unreachable: %s", backup_codes[2], extra={"fields": fields})
    views.PasswordResetFromKeyView.dispatch = broken
    client.post("/accounts/password/reset/key/1-abc123-deadbeef/", {"password": PASSWORD})
    sentry_sdk.flush(10)
    cookies = [client.cookies[name].value for name in ("sessionid", "csrftoken")]
    keys = [settings.SECRET_KEY, settings.TWOFACTOR_KEYS.split(":")[1]]
    sent = ["deadbeef", token, query, referer, address, ada["email"]]
    stored = [secret, sealed, *backup_codes, User.objects.get().password]
    return {
        "statuses": [refused.status_code, signed_in.status_code],
        "request": refused["X-Request-ID"],
        "user": ada["pk"],
        "hidden": [PASSWORD, code, code[:3] + " " + code[3:], *stored, *keys, *cookies, *sent],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
