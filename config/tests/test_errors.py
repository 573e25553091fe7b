"""Error reports to Sentry, sent by the real sentry-sdk from a separate process to a local receiver."""

import gzip
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest

from config import errors
from config.tests.processes.running_site import ROOT, Site

# Each error has secrets in its message and in its local variables.
SITE = """
import json, logging, sys, time
import django
django.setup()
import sentry_sdk
from django.conf import settings
from django.http import HttpRequest
from django.test import Client
from allauth.account.models import EmailAddress
from accounts.models import User
from twofactor.tests.rfc6238 import code_at
from twofactor import codes, totp
from twofactor.models import Authenticator
from twofactor.views import settings as settings_view

PASSWORD = "umbel-4-Quarry-thimble"
user = User.objects.create_user("ada@example.com", PASSWORD)
EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
secret = totp.new_secret()
backup_codes = Authenticator.objects.activate(user, secret=secret)
sealed = Authenticator.objects.get().sealed_secret
code = code_at(secret, time.time())
judge = Authenticator.judge

def fail(self, code, **kwargs):
    local_secret, local_codes = self.secret, backup_codes
    held = [secret, self.sealed_secret, backup_codes[0], settings.SECRET_KEY]
    raise RuntimeError(f"cannot judge {code} or {code[:3]} {code[3:]} by {held}")

headers = {"Authorization": "Bearer letmein", "Referer": "http://x/y?z=refererquery"}
client = Client(raise_request_exception=False, headers=headers)
client.get("/accounts/login/")
client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
Authenticator.judge = fail
said = client.post("/accounts/2fa/verify-login/?leak=querystring", {"code": code}, REMOTE_ADDR="203.0.113.9")
Authenticator.judge = judge
client.post("/accounts/2fa/verify-login/", {"code": code})

def broken(request, *args, **kwargs):
    typed = request.POST.get("password")
    raise ValueError(f"no page for {typed} {request.COOKIES}")

settings_view.status_of = lambda *args: 1 / 0
signed_in = client.get("/accounts/2fa/")
fields = {"reason": backup_codes[1]}
logging.getLogger("config.cache").error("unreachable: %s", backup_codes[2], extra={"fields": fields})
from allauth.account import views
views.PasswordResetFromKeyView.dispatch = broken
client.get("/accounts/password/reset/key/1-abc123-deadbeef/")
sentry_sdk.flush(10)
print(json.dumps({
    "statuses": [said.status_code, signed_in.status_code], "request": said["X-Request-ID"], "user": user.pk,
    "hidden": [PASSWORD, code, code[:3] + " " + code[3:], secret, sealed, *backup_codes, settings.SECRET_KEY,
               settings.TWOFACTOR_KEYS.split(":")[1], client.cookies["sessionid"].value,
               client.cookies["csrftoken"].value, "deadbeef", "letmein", "querystring",
               "refererquery", "203.0.113.9", "ada@example.com", user.password],
}))
"""


class Receiver(ThreadingHTTPServer):
    """A stand-in for Sentry that records what it receives."""

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server_port}/1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def events(self):
        lines = [json.loads(line) for body in self.got for line in body.splitlines()]
        return [line for line in lines if "event_id" in line and "platform" in line]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unpack = {"gzip": gzip.decompress, "br": brotli.decompress}.get(self.headers["Content-Encoding"], bytes)
        self.server.got.append(unpack(body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        """Do not log requests."""


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The receiver after the errors of a site, and the values that the site knows."""
    pytest.importorskip("sentry_sdk")
    receiver = Receiver()
    site = Site(tmp_path_factory.mktemp("errors") / "site", SENTRY_DSN=receiver.dsn, ALLOWED_HOSTS="testserver")
    site.migrate()
    done = subprocess.run(
        [sys.executable, "-c", SITE], cwd=ROOT, env=site.env, capture_output=True, text=True, timeout=60, check=False
    )
    receiver.shutdown()
    receiver.server_close()
    assert done.returncode == 0, done.stderr
    return receiver, json.loads(done.stdout.splitlines()[-1])


def test_an_error_is_reported_with_its_location_request_and_user(reported):
    receiver, known = reported
    assert known["statuses"] == [500, 500]
    first, second, logged, link = receiver.events
    (error,) = first["exception"]["values"]
    assert error["type"] == "RuntimeError"
    assert error["value"].startswith("cannot judge [hidden]")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert first["request"]["url"].endswith("/accounts/2fa/verify-login/")
    assert first["request"]["method"] == "POST"
    assert first["tags"]["request"] == known["request"]
    assert first["user"]["id"] is None
    assert second["user"]["id"] == known["user"]
    assert second["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert link["request"]["url"].endswith("/accounts/password/reset/key/.../")
    assert logged["logentry"]["message"].startswith("unreachable: ")


def test_no_typed_or_stored_secret_is_reported(reported):
    receiver, known = reported
    sent = b"\n".join(receiver.got).decode()
    assert len(receiver.events) >= 4
    assert [hidden for hidden in known["hidden"] if hidden in sent] == []


def test_no_body_cookie_or_local_variable_is_reported(reported):
    receiver, _ = reported
    for event in receiver.events:
        assert not {"data", "cookies", "env", "query_string"} & event.get("request", {}).keys()
        assert not {"Cookie", "Authorization", "Referer"} & event.get("request", {}).get("headers", {}).keys()
        frames = [
            frame for error in event.get("exception", {}).get("values", []) for frame in error["stacktrace"]["frames"]
        ]
        assert not any("vars" in frame for frame in frames)


@pytest.mark.parametrize("secret", [
    "123456", "123 456", "123-456", "7KQ2-9MXD-4RTB-W8HN", "7KQ29MXD4RTBW8HN", "7KQ2 9MXD 4RTB W8HN",
    "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", "v1.k1.c2VhbGVk+/=",
])  # fmt: skip
def test_anything_that_looks_like_a_secret_is_hidden(secret):
    event = {"message": f"before {secret} after", "exception": {"values": [{"value": [f"({secret})"]}]}}
    sent = str(errors.scrub(event, {}))
    assert secret not in sent
    assert "before [hidden] after" in sent


def test_sentrys_own_ids_and_times_are_kept():
    event = {"event_id": "123456", "timestamp": "2026-11-22T13:55:10.123456Z", "line": "views/verify_login.py"}
    assert errors.scrub(dict(event), {}).items() >= event.items()
