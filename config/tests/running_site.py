"""The site as it is served: two processes of granian on loopback, driven over plain HTTP.

Everything that a test of processes needs and nothing of the product: the server with a database, a cache and a
mail folder of its own, a small browser, threads that start at one moment, and a way to ask the database.

A plugin, so that the tests of all modules share two servers. They import from it too, before pytest loads it,
which it warns of unless told: PYTEST_DONT_REWRITE.
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

from conftest import FOLDER, PASSWORD
from dev import SERVER
from e2e.phone import code_at

ROOT = Path(__file__).resolve().parents[2]
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
# A race is run as often as this; a fault may need more rounds to show. TEST_ROUNDS=50 is what issue 3 asks for.
ROUNDS = int(os.environ.get("TEST_ROUNDS", "3"))

Answer = TypeVar("Answer")

# As the site runs, with two differences. No manifest: collectstatic writes into a folder that others work in.
# And, unless REAL_HASHER is set, no slow hash: 25 ms a password is the point of few of these tests.
SETTINGS_MODULE = """
from config.settings import *
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
if not env.bool("REAL_HASHER", default=False):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""

# A Python of its own that has the site's models: the test's own database and cache are others.
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


# Linux ends a process so started with whoever started it, even where that one was killed.
LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
os.execvp(sys.argv[1], sys.argv[1:])
"""


def ending_with_us(*command: str) -> list[str]:
    """The command for a process that must not outlive the tests."""
    return [sys.executable, "-c", LAUNCHER, *command]


def wait_until(true: Callable[[], Answer], what: str, *, seconds: float = 20) -> Answer:
    """Ask again and again until the answer is true; AssertionError when the time is over."""
    until = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < until, f"not within {seconds} seconds: {what}"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def parallel(count: int, call: Callable[[int], Answer]) -> list[Answer]:
    """Call this with 0 to count-1, each in a thread of its own, all from one moment on; the answers in order."""
    gate, answers = Barrier(count), [None] * count
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            gate.wait(30)
            answers[number] = call(number)  # type: ignore[call-overload] # None until then
        except BaseException as error:  # noqa: BLE001 - it is raised again, where the test sees it
            failures.append(error)

    threads = [Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "a request was not answered"
    return answers  # type: ignore[return-value] # all have answered, or it has raised


# --- People ---------------------------------------------------------------------------------------


@dataclass
class Person:
    pk: int
    email: str
    secret: str
    backup_codes: list[str]

    def code(self, *, steps_ahead: int = 0) -> str:
        return code_at(self.secret, time.time() + 30 * steps_ahead)

    def wrong_code(self, number: int = 0) -> str:
        """Six digits that fit at no time near now, not even on a phone whose clock is off; another for each number."""
        near = {code_at(self.secret, time.time() + 30 * steps) for steps in range(-45, 46)}
        wrong = (code for code in map("{:06}".format, range(10_000)) if code not in near)
        return next(itertools.islice(wrong, number, None))


# --- A browser ------------------------------------------------------------------------------------


class Page:
    """One answer, as it came: no redirect is followed."""

    def __init__(self, path: str, response: http.client.HTTPResponse) -> None:
        self.path, self.status, self.headers = path, response.status, response.headers
        self.text = response.read().decode("utf-8", "replace")
        self.leads_to = self.headers.get("HX-Redirect") or self.headers.get("Location") or ""

    @property
    def words(self) -> str:
        return html.unescape(" ".join(re.sub("<[^>]*>", " ", self.text).split()))

    @property
    def backup_codes(self) -> list[str]:
        return list(dict.fromkeys(BACKUP_CODE.findall(self.words)))

    @property
    def key(self) -> str:
        """The setup key; empty if none is shown."""
        found = KEY.search(self.words)
        return re.sub(r"\s", "", found[0]) if found else ""

    def __repr__(self) -> str:
        leads = f" to {self.leads_to}" if self.leads_to else ""
        return f"<{self.status} {self.path}{leads}: {self.words[:400]}>"


class Browser:
    """A cookie jar, an address, htmx or not. Each has an address of its own unless told."""

    _numbers = itertools.count(1)

    def __init__(
        self, site: "Site", *, htmx: bool = False, address: str | None = None, cookies: dict[str, str] | None = None
    ) -> None:
        number = next(self._numbers)
        self.site, self.htmx, self.timeout = site, htmx, 60
        self.address = address if address is not None else f"198.18.{number // 250 % 250}.{number % 250 + 1}"
        # Django takes any token that cookie and form agree on, so that no form need be fetched for one.
        self.cookies = {"csrftoken": secrets.token_hex(16)} if cookies is None else dict(cookies)

    def twin(self) -> "Browser":
        """Another browser with the same cookies, as a second tab or a thief has them."""
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
        """Post these fields (a dict, or pairs) with the CSRF token, as a form of the site does."""
        pairs = list(fields.items() if isinstance(fields, dict) else fields or ())
        body = urlencode([("csrfmiddlewaretoken", self.cookies.get("csrftoken", "")), *pairs]).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send(method, path, body, kind | _named(headers))

    def give_password(self, person: Person, *, password: str = PASSWORD, **fields: str) -> Page:
        return self.post(LOGIN, {"login": person.email, "password": password, **fields})

    def give_code(self, code: str) -> Page:
        return self.post(VERIFY_LOGIN, {"code": code})

    def give_backup_code(self, code: str) -> Page:
        return self.post(VERIFY_LOGIN, {"backup_code": code})

    def sign_in(self, person: Person, **proof: str) -> "Browser":
        """The password, and the proof if one is given; AssertionError if that does not lead to where it should."""
        pages = [self.give_password(person)]
        if proof:
            pages.append(self.post(VERIFY_LOGIN, proof))
        assert self.is_signed_in() == (bool(proof) or not person.secret), pages
        return self

    def owe_code(self, person: Person) -> "Browser":
        """Give the password; AssertionError if that is not answered by the code form."""
        page = self.give_password(person)
        assert 'name="code"' in page.text if self.htmx else page.leads_to == VERIFY_LOGIN, page
        return self

    def is_signed_in(self) -> bool:
        return self.twin().get("/accounts/password/change/", HX_Request="").status == 200

    def owes_code(self) -> bool:
        return self.twin().get(VERIFY_LOGIN, HX_Request="").status == 200


def _named(headers: dict[str, str]) -> dict[str, str]:
    """Header names as Python can spell them: HX_Request for HX-Request."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


# --- The site -------------------------------------------------------------------------------------


class Site:
    """One copy of the site: its environment, its server, its people."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.port = folder, free_port()
        self.mail, self.log, self.database = folder / "mail", folder / "server.log", folder / "site.sqlite3"
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

    # --- Its processes ------------------------------------------------------------------------

    def migrate(self) -> None:
        if self.is_sqlite:
            shutil.copy(migrated_database(), self.database)
        else:
            manage(self.env, "migrate", "--verbosity=0")

    def start(self) -> None:
        """Serve, by the command of docs/deploy.md; return when both processes answer."""
        options = [*SERVER, "--workers", "2", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                ending_with_us(sys.executable, "-m", "granian", *options, "config.wsgi:application"),
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.answers, "to serve", seconds=60)

    def answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, f"the server ended: {self.said()[-3000:]}"
        try:
            return len(self.workers()) == 2 and Browser(self).get("/healthz").status in (200, 503)
        except OSError:
            return False

    def workers(self) -> list[int]:
        """The process ids of those that serve."""
        assert self.server is not None
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def stop(self) -> None:
        """End every process of the server, with its consent or without."""
        if self.server is None:
            return
        server, self.server = self.server, None
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(15)

    def kill(self) -> None:
        """End every process of the server at once, as a lack of memory or of power does."""
        assert self.server is not None
        server, self.server = self.server, None
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(15)

    def restart(self) -> None:
        self.stop()
        self.start()

    def said(self) -> str:
        """What the server wrote into its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- Its rows -----------------------------------------------------------------------------

    def orm(self, code: str, **names: Any) -> Any:
        """What this expression is, with the site's models and these names; as JSON carries it."""
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

    def people(self, count: int = 1, *, on: bool = True, staff: bool = False) -> list[Person]:
        """New people with a verified address, and with 2FA on unless told."""
        secret = [base64.b32encode(secrets.token_bytes(20)).decode() if on else "" for _ in range(count)]
        emails = [f"user-{secrets.token_hex(5)}@example.com" for _ in range(count)]
        rows = self.orm(
            "people(emails, password, secrets, staff)", emails=emails, password=PASSWORD, secrets=secret, staff=staff
        )
        return [Person(**row) for row in rows]

    @contextmanager
    def slow(self, table: str, *, seconds: int) -> Iterator[None]:
        """Meanwhile a row that goes into this table takes about so long, in the middle of its transaction."""
        self.orm("slow(table, seconds)", table=table, seconds=seconds)
        try:
            yield
        finally:
            self.orm("quick(table)", table=table)

    def person(self, *, on: bool = True, staff: bool = False) -> Person:
        return self.people(on=on, staff=staff)[0]

    def authenticator(self, person: Person) -> dict[str, Any]:
        """The row that says that 2FA is on; empty if it is not."""
        return self.orm("authenticator(pk)", pk=person.pk) or {}

    def set(self, person: Person, **values: int | str) -> None:
        """Put these into the row that says that 2FA is on, as the past would have."""
        self.orm("Authenticator.objects.filter(user_id=pk).update(**values)", pk=person.pk, values=values)

    def let_all_be_new(self, person: Person) -> None:
        """As if no code was ever used and none was ever wrong."""
        self.set(person, last_time_step=-1, failures=0, delayed_until=0, budget_spent=0, closed_sign_in="")
        self.orm("PendingSignIn.objects.filter(user_id=pk).delete()", pk=person.pk)

    def let_delay_pass(self, person: Person) -> None:
        """As if the time had passed that the account waits; the failures stay."""
        self.set(person, delayed_until=0)
        self.orm("PendingSignIn.objects.filter(user_id=pk).delete()", pk=person.pk)

    def unused_codes(self, person: Person) -> int:
        return self.orm("BackupCode.objects.filter(authenticator__user_id=pk, used_at=None).count()", pk=person.pk)

    def events(self, person: Person) -> list[str]:
        """The kinds of what happened, oldest first."""
        code = "list(SecurityEvent.objects.filter(user_id=pk).order_by('pk').values_list('kind', flat=True))"
        return self.orm(code, pk=person.pk)

    def mails_to(self, person: Person) -> list[email.message.EmailMessage]:
        """The mails so far; several that one connection sent lie in one file."""
        texts = [path.read_bytes() for path in sorted(self.mail.iterdir())]
        parts = itertools.chain.from_iterable(re.split(rb"\n-{79}\n", text) for text in texts)
        mails = [email.message_from_bytes(part.lstrip(), policy=email.policy.default) for part in parts if part.strip()]
        return [mail for mail in mails if person.email in str(mail["To"])]


def text_of(mail: email.message.EmailMessage) -> str:
    """The plain part of a mail, which has an HTML part beside it."""
    plain = mail.get_body(("plain",))
    assert plain is not None
    return str(plain.get_content())


@cache
def migrated_database() -> Path:
    """A SQLite file with all tables and no rows, made once."""
    folder = FOLDER / "migrated"
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
    """A new site; its processes end with the block, however that ends."""
    folder = FOLDER / f"site-{secrets.token_hex(4)}"
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


# --- Sites that tests share -----------------------------------------------------------------------

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
    """A site on SQLite with the default cache, and one on PostgreSQL and Redis. Shared: bring your own people."""
    return request.getfixturevalue(f"{request.param}_site")
