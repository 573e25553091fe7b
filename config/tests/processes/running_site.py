"""Run the site in granian processes on loopback, with its own database and email folder."""

import base64
import email
import email.policy
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Barrier

import httpx

from config.settings_test import TEST_FOLDER
from config.tests.processes import site_helpers
from dev import SERVER
from twofactor.tests import with_django
from twofactor.tests.constants import LOGIN, PASSWORD
from twofactor.tests.journeys import SiteUser, begin_sign_in, free_port, new_client, sign_in

ROOT = Path(__file__).resolve().parents[3]
# Each race is repeated this often. More rounds find rarer faults: TEST_ROUNDS=50.
ROUNDS = int(os.environ.get("TEST_ROUNDS", "3"))
LAUNCHER = Path(__file__).with_name("launcher.py")


def wait_until(true, what, *, seconds=20):
    """Call `true` until it returns a true value, and return that. Raise AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < until, f"not within {seconds} seconds: {what}"
        time.sleep(0.02)
    return answer


def parallel(call, *lists):
    """Call it for the items of the lists, as `map` does, in parallel threads that start together."""
    gate = Barrier(len(lists[0]))

    def run(*items):
        gate.wait(30)
        return call(*items)

    with ThreadPoolExecutor(len(lists[0])) as pool:
        return list(pool.map(run, *lists, timeout=120))


def manage(env, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@contextmanager
def running(command, url, log, **options):
    """Run a server, with the processes that it starts, until the end of the block. Wait until it answers."""
    with log.open("w") as output:
        options |= {"stdout": output, "stderr": output, "start_new_session": True}
        server = subprocess.Popen(command, **options)

    def answers():
        assert server.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            return new_client(url).get(LOGIN).status_code == 200

    try:
        wait_until(answers, "to serve", seconds=60)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


class Site:
    """A copy of the site: its environment, server and users."""

    def __init__(self, folder, *, processes=2, **env):
        self.folder = folder
        self.processes = processes
        self.port = free_port()
        self.base = f"http://localhost:{self.port}"
        self.mail = folder / "mail"
        self.log = folder / "server.log"
        self.database = folder / "site.sqlite3"
        self.mail.mkdir(parents=True)
        self.env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "config.tests.processes.served_settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DEBUG": "false",
            "USE_HTTPS": "false",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "TWOFACTOR_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "CSRF_TRUSTED_ORIGINS": "",
            "SITE_URL": self.base,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "EMAIL_URL": f"filemail:///{self.mail}",
            "TRUSTED_PROXY_COUNT": "1",
            "TWOFACTOR_ISSUER": "Twofactor",
            "TWOFACTOR_NEW_BROWSER_EMAIL": "on",
            "TWOFACTOR_ORIGINS": "",
            "TWOFACTOR_PASSKEYS": "on",
            "TWOFACTOR_REQUIRED": "staff",
            "TWOFACTOR_RP_ID": "",
            "TWOFACTOR_TRUST_DAYS": "0",
            **env,
        }
        self.server = self.helpers = None

    def migrate(self):
        if self.env["DATABASE_URL"].startswith("sqlite"):
            shutil.copy(migrated_database(), self.database)
        else:
            manage(self.env, "migrate", "--verbosity=0")

    def start(self):
        """Start the server by the command of docs/deploy.md, and wait until all processes answer."""
        options = [*SERVER, "--workers", str(self.processes), "--host", "127.0.0.1", "--port", str(self.port)]
        server = [sys.executable, "-m", "granian", *options, "config.wsgi:application"]
        with self.log.open("ab") as log:
            options = {"cwd": ROOT, "env": self.env, "stdout": log, "stderr": log, "start_new_session": True}
            self.server = subprocess.Popen([sys.executable, LAUNCHER, *server], **options)
        wait_until(self.answers, "to serve", seconds=60)

    def answers(self):
        assert self.server.poll() is None, f"the server ended: {self.log_text()[-3000:]}"
        with suppress(httpx.TransportError):
            return len(self.workers()) == self.processes and self.client().get("/healthz").status_code in (200, 503)
        return False

    def workers(self):
        """Return the process IDs of the workers."""
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def kill(self):
        """Kill all processes of the server at once, as a lack of memory or power does."""
        if self.server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait(15)
            self.server = None

    def restart(self):
        """End the server by SIGTERM, and start it again."""
        self.server.terminate()
        self.server.wait(60)
        self.kill()
        self.start()

    def log_text(self):
        """Return the server's log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def client(self):
        return new_client(self.base)

    def pending(self, user):
        """Return a client with a pending sign-in."""
        return begin_sign_in(self.client(), user)

    def signed_in(self, user, **proof):
        return sign_in(self.client(), user, **proof)

    def call(self, function, *arguments, **options):
        """Call a function of site_helpers.py in a process of the site. Arguments and result are passed as JSON."""
        if self.helpers is None:
            command = [sys.executable, "-m", with_django.__name__, site_helpers.__name__]
            env = self.env | {"EMAIL_URL": "dummymail://"}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.helpers = subprocess.Popen(command, cwd=ROOT, env=env, **pipes)
        print(json.dumps([function.__name__, arguments, options]), file=self.helpers.stdin, flush=True)
        line = next(line for line in self.helpers.stdout if line.startswith("ANSWER "))
        answer = json.loads(line.removeprefix("ANSWER "))
        assert "error" not in answer, answer["error"]
        return answer["is"]

    def rows(self, model, **filters):
        """Return the rows as dicts, the oldest first."""
        return self.call(site_helpers.rows, model, **filters)

    def make_users(self, count, *, on=True):
        """Create users with a verified address, with 2FA on by default."""
        keys = [base64.b32encode(secrets.token_bytes(20)).decode() if on else "" for _ in range(count)]
        emails = [f"user-{secrets.token_hex(5)}@example.com" for _ in range(count)]
        return [SiteUser(**row) for row in self.call(site_helpers.make_users, emails, PASSWORD, keys)]

    def make_user(self, *, on=True):
        return self.make_users(1, on=on)[0]

    def second_factor(self, user):
        """Return the user's SecondFactor row, or an empty dict if 2FA is off."""
        return next(iter(self.rows("SecondFactor", user=user.pk)), {})

    def reset_throttle(self, user):
        self.call(site_helpers.reset_throttle, user.pk)

    def unused_codes(self, user):
        return len(self.rows("BackupCode", second_factor__user=user.pk, used_at=None))

    def events(self, user):
        """Return the kinds of the user's events, oldest first, without sign-ins."""
        kinds = [row["kind"] for row in self.rows("SecurityEvent", user=user.pk)]
        return [kind for kind in kinds if kind not in ("signed_in", "new_browser")]

    @contextmanager
    def slow(self, table, *, seconds, operation="INSERT"):
        """In this block an INSERT or UPDATE of the table takes about this long, inside its transaction."""
        self.call(site_helpers.make_slow, table, operation, seconds)
        try:
            yield
        finally:
            self.call(site_helpers.make_quick, table)

    def emails_to(self, user):
        """Return the plain text of the user's emails. Django writes all emails of one connection into one file."""
        files = b"\n".join(path.read_bytes() for path in sorted(self.mail.iterdir()))
        parts = filter(None, map(bytes.strip, re.split(rb"\n-{79}\n", files)))
        sent = [email.message_from_bytes(part, policy=email.policy.default) for part in parts]
        return [message.get_body(("plain",)).get_content() for message in sent if user.email in str(message["To"])]


@cache
def migrated_database():
    """Return a SQLite file with all tables and no rows. It is created once."""
    site = Site(TEST_FOLDER / "migrated")
    manage(site.env, "migrate", "--verbosity=0")
    return site.database


@contextmanager
def serving(*, start=True, **options):
    """Create and start a site. Its processes end with the block."""
    site = Site(TEST_FOLDER / f"site-{secrets.token_hex(4)}", **options)
    try:
        site.migrate()
        if start:
            site.start()
        yield site
    finally:
        site.kill()
        if site.helpers:
            site.helpers.kill()
            site.helpers.communicate()
