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
from twofactor.tests import with_django

SENT = ["letmein", "querystring", "refererquery", "203.0.113.9"]


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
    command = [sys.executable, "-m", with_django.__name__, "config.tests.processes.failing_site", *SENT]
    done = subprocess.run(command, cwd=ROOT, env=site.env, capture_output=True, text=True, timeout=60, check=False)
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
    for event in receiver.events:
        assert not {"data", "cookies", "env", "query_string"} & event.get("request", {}).keys()
        assert not {"Cookie", "Authorization", "Referer"} & event.get("request", {}).get("headers", {}).keys()
        errors_of = event.get("exception", {}).get("values", [])
        assert not any("vars" in frame for error in errors_of for frame in error["stacktrace"]["frames"])


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
