"""Run the site in two granian processes on loopback, and send it plain HTTP requests.

Helpers for the `test_processes_*` modules: a server with its own database, cache and email folder, an HTTP client,
parallel threads, and access to the database. They import no code of the product.

This is a pytest plugin, so that all modules share two servers. The modules also import from it, before pytest
loads it. The word PYTEST_DONT_REWRITE in this docstring turns off pytest's warning about that.
"""

import base64
import email
import email.policy
import html
import http.client
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

from config.settings_test import TEST_FOLDER
from conftest import PASSWORD
from dev import SERVER
from twofactor.tests.rfc6238 import code_at

ROOT = Path(__file__).resolve().parents[3]
LOGIN = "/accounts/login/"
VERIFY_LOGIN = "/accounts/2fa/verify-login/"
CANCEL_LOGIN = "/accounts/2fa/cancel-login/"
SETTINGS = "/accounts/2fa/"
STATUS = "/accounts/2fa/status/"
SETUP = "/accounts/2fa/setup/"
VERIFY_SETUP = "/accounts/2fa/verify-setup/"
CANCEL_SETUP = "/accounts/2fa/cancel-setup/"
REGENERATE = "/accounts/2fa/regenerate-backup-codes/"
DISABLE = "/accounts/2fa/disable/"
CONFIRM = "/accounts/2fa/confirm/"
BACKUP_CODE = re.compile(r"(?<![\w-])[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}(?![\w-])")
KEY = re.compile(r"(?<![A-Z2-7])(?:[A-Z2-7]{4}\s+){7}[A-Z2-7]{4}(?![A-Z2-7])")
# Each race is repeated this often. More rounds find rarer faults: TEST_ROUNDS=50.
ROUNDS = int(os.environ.get("TEST_ROUNDS", "3"))

Answer = TypeVar("Answer")

# The site's settings with two changes. No manifest of static files: collectstatic would write into a shared folder.
# No slow password hash (25 ms each), unless REAL_HASHER is set.
SETTINGS_MODULE = """
from config.settings import *
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
if not env.bool("REAL_HASHER", default=False):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""

# Runs in a child process with the site's settings: the test process uses another database and cache.
ORM = """
import json, sys, django
from datetime import timedelta
django.setup()
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from accounts.models import User
from config.sessions import SessionStore
from twofactor import codes, mail, reset
from twofactor.models import Authenticator, BackupCode, PendingSignIn, SecurityEvent, TrustedBrowser

def people(emails, password, secrets, staff):
    made, hashed = [], make_password(password)
    for address, secret in zip(emails, secrets):
        user = User(email=address, full_name="Ada Example", is_staff=staff, is_superuser=staff, password=hashed)
        user.save()
        EmailAddress.objects.create(user=user, email=address, verified=True, primary=True)
        codes = Authenticator.objects.activate(user, secret=secret) if secret else []
        made.append({"pk": user.pk, "email": address, "secret": secret, "backup_codes": codes})
    return made

def all_unused(pk):
    BackupCode.objects.filter(authenticator__user_id=pk).update(used_at=None)
    Authenticator.objects.filter(user_id=pk).update(codes_left=10)

def let_sign_ins_age(seconds):
    for row in Session.objects.all():
        session = SessionStore(row.session_key)
        if sign_in := session.get("twofactor_sign_in"):
            sign_in["began"] -= seconds
            session.save()

def authenticator(pk):
    return Authenticator.objects.filter(user_id=pk).values().first()

def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

# A transaction that waits, or is busy, in its middle. SQLite cannot sleep: it counts.
SLOW = {
    "sqlite": (
        "CREATE TRIGGER slow BEFORE INSERT ON {table} BEGIN SELECT count(*) FROM (WITH RECURSIVE c(n) AS"
        " (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {seconds} * 3000000) SELECT n FROM c); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION slow() RETURNS trigger AS"
        " 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END' LANGUAGE plpgsql",
        "CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    ),
}

def slow(table, seconds):
    execute(*(part.format(table=table, seconds=seconds) for part in SLOW[connection.vendor]))

def is_slow():
    if connection.vendor == "sqlite":
        try:
            execute("PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE", "ROLLBACK")
        except Exception:
            return True
        finally:
            execute("PRAGMA busy_timeout = 20000")
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
        return bool(cursor.fetchone())

def quick(table):
    execute("DROP TRIGGER slow" + (f" ON {table}" if connection.vendor == "postgresql" else ""))

for line in sys.stdin:
    order = json.loads(line)
    try:
        answer = {"is": eval(order["code"], globals() | order["names"])}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)
"""


# PR_SET_PDEATHSIG: Linux ends the started process when its parent ends, even if the parent is killed.
LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def ending_with_parent(*command: str) -> list[str]:
    """Return a command for a process that ends with the test process."""
    return [sys.executable, "-c", LAUNCHER, *command]


def wait_until(true: Callable[[], Answer], what: str, *, seconds: float = 20) -> Answer:
    """Call `true` until it returns a true value, and return that. Raise AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < until, f"not within {seconds} seconds: {what}"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def parallel(count: int, call: Callable[[int], Answer]) -> list[Answer]:
    """Call `call(0)` to `call(count - 1)` in parallel threads that start together. Return the results in order."""
    gate = Barrier(count)
    answers = [None] * count
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            gate.wait(30)
            answers[number] = call(number)  # type: ignore[call-overload] # None before
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
            failures.append(error)

    threads = [Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "a request was not answered"
    return answers  # type: ignore[return-value] # no None is left


# --- Users ----------------------------------------------------------------------------------------


@dataclass
class SiteUser:
    pk: int
    email: str
    secret: str
    backup_codes: list[str]

    def code(self, *, steps_ahead: int = 0) -> str:
        return code_at(self.secret, time.time() + 30 * steps_ahead)

    def wrong_code(self, number: int = 0) -> str:
        """Return six digits that are not a code within 22 minutes of now. Each number gives another code."""
        near = {code_at(self.secret, time.time() + 30 * steps) for steps in range(-45, 46)}
        wrong = (code for code in map("{:06}".format, range(10_000)) if code not in near)
        return next(itertools.islice(wrong, number, None))


# --- A browser ------------------------------------------------------------------------------------


class Page:
    """One response. Redirects are not followed."""

    def __init__(self, path: str, response: http.client.HTTPResponse) -> None:
        self.path = path
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode("utf-8", "replace")
        self.redirect_target = self.headers.get("HX-Redirect") or self.headers.get("Location") or ""

    @property
    def visible_text(self) -> str:
        return html.unescape(" ".join(re.sub("<[^>]*>", " ", self.text).split()))

    @property
    def backup_codes(self) -> list[str]:
        return list(dict.fromkeys(BACKUP_CODE.findall(self.visible_text)))

    @property
    def key(self) -> str:
        """The setup key, or an empty string if the page shows none."""
        found = KEY.search(self.visible_text)
        return re.sub(r"\s", "", found[0]) if found else ""

    def __repr__(self) -> str:
        target = f" to {self.redirect_target}" if self.redirect_target else ""
        return f"<{self.status} {self.path}{target}: {self.visible_text[:400]}>"


class Browser:
    """An HTTP client with cookies. By default each has its own IP address."""

    _numbers = itertools.count(1)

    def __init__(
        self, site: "Site", *, htmx: bool = False, address: str | None = None, cookies: dict[str, str] | None = None
    ) -> None:
        number = next(self._numbers)
        self.site = site
        self.htmx = htmx
        self.timeout = 60
        self.address = address if address is not None else f"198.18.{number // 250 % 250}.{number % 250 + 1}"
        # Django accepts any CSRF token that is equal in cookie and form, so no form has to be requested first.
        self.cookies = {"csrftoken": secrets.token_hex(16)} if cookies is None else dict(cookies)

    def copy(self) -> "Browser":
        """Return another browser with the same cookies, like a second tab or a stolen session."""
        return Browser(self.site, htmx=self.htmx, cookies=self.cookies)

    @property
    def session(self) -> str:
        return self.cookies.get("sessionid", "")

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Page:
        own = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            "X-Forwarded-For": self.address,
            "HX-Request": "true" if self.htmx else "",
        }
        asked = {name: value for name, value in (own | (headers or {})).items() if value}
        wire = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=self.timeout)
        try:
            wire.request(method, path, body, asked)
            page = Page(path, wire.getresponse())
        finally:
            wire.close()
        for line in page.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return page

    def get(self, path: str, **headers: str) -> Page:
        return self.send("GET", path, headers=_named(headers))

    def post(self, path: str, fields: Any = None, /, *, method: str = "POST", **headers: str) -> Page:
        """Post fields (a dict or pairs) with the CSRF token."""
        pairs = list(fields.items() if isinstance(fields, dict) else fields or ())
        body = urlencode([("csrfmiddlewaretoken", self.cookies.get("csrftoken", "")), *pairs]).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send(method, path, body, kind | _named(headers))

    def give_password(self, user: SiteUser, *, password: str = PASSWORD, **fields: str) -> Page:
        return self.post(LOGIN, {"login": user.email, "password": password, **fields})

    def give_code(self, code: str) -> Page:
        return self.post(VERIFY_LOGIN, {"code": code})

    def give_backup_code(self, code: str) -> Page:
        return self.post(VERIFY_LOGIN, {"backup_code": code})

    def sign_in(self, user: SiteUser, **proof: str) -> "Browser":
        """Submit the password, and the code or backup code if given. Raise AssertionError on an unexpected result."""
        pages = [self.give_password(user)]
        if proof:
            pages.append(self.post(VERIFY_LOGIN, proof))
        assert self.is_signed_in() == (bool(proof) or not user.secret), pages
        return self

    def begin_sign_in(self, user: SiteUser) -> "Browser":
        """Submit the password. Raise AssertionError if the code form does not follow."""
        page = self.give_password(user)
        assert 'name="code"' in page.text if self.htmx else page.redirect_target == VERIFY_LOGIN, page
        return self

    def is_signed_in(self) -> bool:
        return self.copy().get("/accounts/password/change/", HX_Request="").status == 200

    def has_pending_sign_in(self) -> bool:
        return self.copy().get(VERIFY_LOGIN, HX_Request="").status == 200


def _named(headers: dict[str, str]) -> dict[str, str]:
    """Replace the underscores of keyword arguments by hyphens: HX_Request is HX-Request."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


# --- The site -------------------------------------------------------------------------------------


class Site:
    """A copy of the site: its environment, server and users."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.mail = folder / "mail"
        self.log = folder / "server.log"
        self.database = folder / "site.sqlite3"
        self.mail.mkdir(parents=True)
        (folder / "served_settings.py").write_text(SETTINGS_MODULE)
        self.base = f"http://127.0.0.1:{self.port}"
        self.env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "served_settings",
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "DEBUG": "false",
            "USE_HTTPS": "false",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "TWOFACTOR_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "CSRF_TRUSTED_ORIGINS": "",
            "SITE_URL": self.base,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "CACHE_URL": "",
            "EMAIL_URL": f"filemail:///{self.mail}",
            "TRUSTED_PROXY_COUNT": "1",
            "TWOFACTOR_ISSUER": "Twofactor",
            "TWOFACTOR_REQUIRED": "staff",
            "TWOFACTOR_TRUST_DAYS": "0",
            **env,
        }
        self.is_sqlite = self.env["DATABASE_URL"].startswith("sqlite")
        self.server: subprocess.Popen[bytes] | None = None
        self._orm: subprocess.Popen[str] | None = None

    # --- Processes ----------------------------------------------------------------------------

    def migrate(self) -> None:
        if self.is_sqlite:
            shutil.copy(migrated_database(), self.database)
        else:
            manage(self.env, "migrate", "--verbosity=0")

    def start(self) -> None:
        """Start the server by the command of docs/deploy.md, and wait until both processes answer."""
        options = [*SERVER, "--workers", "2", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                ending_with_parent(sys.executable, "-m", "granian", *options, "config.wsgi:application"),
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.answers, "to serve", seconds=60)

    def answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, f"the server ended: {self.log_text()[-3000:]}"
        try:
            return len(self.workers()) == 2 and Browser(self).get("/healthz").status in (200, 503)
        except OSError:
            return False

    def workers(self) -> list[int]:
        """Return the process IDs of the workers."""
        assert self.server is not None
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def stop(self) -> None:
        """End all processes of the server: SIGTERM first, SIGKILL after 15 seconds."""
        if self.server is None:
            return
        server = self.server
        self.server = None
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(15)

    def kill(self) -> None:
        """Kill all processes of the server at once, as a lack of memory or power does."""
        assert self.server is not None
        server = self.server
        self.server = None
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(15)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log_text(self) -> str:
        """Return the server's log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- Database -----------------------------------------------------------------------------

    def orm(self, code: str, **names: Any) -> Any:
        """Evaluate this expression in the child process, with these names. Return its value, passed as JSON."""
        if self._orm is None:
            self._orm = subprocess.Popen(
                [sys.executable, "-c", ORM],
                cwd=ROOT,
                env=self.env | {"EMAIL_URL": "dummymail://"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._orm.stdin
        assert self._orm.stdout
        print(json.dumps({"code": code, "names": names}), file=self._orm.stdin, flush=True)
        line = next(line for line in self._orm.stdout if line.startswith("ANSWER "))
        answer = json.loads(line.removeprefix("ANSWER "))
        assert "error" not in answer, f"{code}: {answer['error']}"
        return answer["is"]

    def make_users(self, count: int = 1, *, on: bool = True, staff: bool = False) -> list[SiteUser]:
        """Create users with a verified address, with 2FA on by default."""
        secret = [base64.b32encode(secrets.token_bytes(20)).decode() if on else "" for _ in range(count)]
        emails = [f"user-{secrets.token_hex(5)}@example.com" for _ in range(count)]
        rows = self.orm(
            "people(emails, password, secrets, staff)", emails=emails, password=PASSWORD, secrets=secret, staff=staff
        )
        return [SiteUser(**row) for row in rows]

    @contextmanager
    def slow(self, table: str, *, seconds: int) -> Iterator[None]:
        """In this block an INSERT into the table takes about this long, inside its transaction."""
        self.orm("slow(table, seconds)", table=table, seconds=seconds)
        try:
            yield
        finally:
            self.orm("quick(table)", table=table)

    def make_user(self, *, on: bool = True, staff: bool = False) -> SiteUser:
        return self.make_users(on=on, staff=staff)[0]

    def authenticator(self, user: SiteUser) -> dict[str, Any]:
        """Return the user's Authenticator row, or an empty dict if 2FA is off."""
        return self.orm("authenticator(pk)", pk=user.pk) or {}

    def set(self, user: SiteUser, **values: int | str) -> None:
        """Update the user's Authenticator row."""
        self.orm("Authenticator.objects.filter(user_id=pk).update(**values)", pk=user.pk, values=values)

    def reset_throttle_and_codes(self, user: SiteUser) -> None:
        """Reset the throttle and the last used time step, and delete pending sign-ins."""
        self.set(user, last_time_step=-1, failures=0, delayed_until=0, budget_spent=0, closed_sign_in="")
        self.orm("PendingSignIn.objects.filter(user_id=pk).delete()", pk=user.pk)

    def end_delay(self, user: SiteUser) -> None:
        """End the account's delay and delete pending sign-ins. The number of failures stays."""
        self.set(user, delayed_until=0)
        self.orm("PendingSignIn.objects.filter(user_id=pk).delete()", pk=user.pk)

    def unused_codes(self, user: SiteUser) -> int:
        return self.orm("BackupCode.objects.filter(authenticator__user_id=pk, used_at=None).count()", pk=user.pk)

    def events(self, user: SiteUser) -> list[str]:
        """Return the kinds of the user's security events, the oldest first."""
        code = "list(SecurityEvent.objects.filter(user_id=pk).order_by('pk').values_list('kind', flat=True))"
        return self.orm(code, pk=user.pk)

    def emails_to(self, user: SiteUser) -> list[email.message.EmailMessage]:
        """Return the user's emails so far. Django writes all emails of one connection into one file."""
        texts = [path.read_bytes() for path in sorted(self.mail.iterdir())]
        parts = itertools.chain.from_iterable(re.split(rb"\n-{79}\n", text) for text in texts)
        sent = [email.message_from_bytes(part.lstrip(), policy=email.policy.default) for part in parts if part.strip()]
        return [message for message in sent if user.email in str(message["To"])]


def plain_text_of(message: email.message.EmailMessage) -> str:
    """Return the text/plain part of an email."""
    plain = message.get_body(("plain",))
    assert plain is not None
    return str(plain.get_content())


@cache
def migrated_database() -> Path:
    """Return a SQLite file with all tables and no rows. It is created once."""
    folder = TEST_FOLDER / "migrated"
    site = Site(folder)
    manage(site.env, "migrate", "--verbosity=0")
    return site.database


def manage(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(*, start: bool = True, **env: str) -> Iterator[Site]:
    """Create and start a site. Its processes end with the block."""
    folder = TEST_FOLDER / f"site-{secrets.token_hex(4)}"
    site = Site(folder, **env)
    try:
        site.migrate()
        if start:
            site.start()
        yield site
    finally:
        with ExitStack() as ends:
            if site._orm:
                ends.enter_context(site._orm)
                ends.callback(site._orm.kill)
            ends.callback(site.stop)


# --- Shared sites ---------------------------------------------------------------------------------

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]


@pytest.fixture(scope="session")
def sqlite_site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def postgresql_site(services: dict[str, str]) -> Iterator[Site]:
    with serving(**services) as site:
        yield site


@pytest.fixture(scope="session", params=DATABASES)
def site(request: pytest.FixtureRequest) -> Site:
    """A site on SQLite with the default cache, and one on PostgreSQL and Redis. Shared: create your own users."""
    return request.getfixturevalue(f"{request.param}_site")
