"""Error reports to Sentry, sent by the real sentry-sdk from a separate process to a local receiver."""

import gzip
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest

from config.tests.processes.running_site import ROOT, Site
from twofactor.tests import with_django

SENT = ["deadbeef", "letmein", "querystring", "refererquery", "203.0.113.9"]


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
    hosts = {"ALLOWED_HOSTS": "testserver", "SITE_URL": "http://testserver"}
    site = Site(tmp_path_factory.mktemp("errors") / "site", SENTRY_DSN=receiver.dsn, **hosts)
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
    signed_in, logged, signed_out = receiver.events
    assert signed_in["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "broken_status"
    assert signed_in["request"] == {"method": "GET", "url": "http://testserver/accounts/2fa/"}
    assert signed_in["tags"]["request"] == known["request"]
    assert signed_in["user"]["id"] == known["user"]
    assert logged["logentry"]["message"] == "failed at step %s"
    assert logged["extra"]["fields"]["step"] == 7
    assert signed_out["request"] == {"method": "POST", "url": "http://testserver/accounts/password/reset/key/.../"}
    assert signed_out["exception"]["values"][-1]["value"] == "no page at /accounts/password/reset/key/.../"
    assert signed_out["user"]["id"] is None


def test_no_secret_of_a_request_a_variable_or_a_log_field_is_reported(reported):
    receiver, known = reported
    sent = b"\n".join(receiver.got).decode()
    assert len(receiver.events) == 3
    assert [hidden for hidden in known["hidden"] if hidden in sent] == []
