"""A new site by the book: an environment with the wheel in it, `startproject`, and what docs/reuse.md says to write."""

import email
import fcntl
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

import dev
from twofactor.tests.hosts.journey import Page

ROOT = dev.ROOT
HOSTS = ROOT / ".venv-hosts"
BLOCK = re.compile(r"^```\w+ (\S+)( before)?\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
# The test's own, on top of what the page says: somebody else's sign-in, mails to read, a base template.
BESIDES = """
INSTALLED_APPS += ["allauth.socialaccount", "allauth.socialaccount.providers.dummy"]
if "MAILERS" in globals():  # Django 6.1's way
    backend = "django.core.mail.backends.filebased.EmailBackend"
    MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"file_path": BASE_DIR / "mails"}}}
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", BASE_DIR / "mails"
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
"""


# --- The environment ------------------------------------------------------------------------------


def build(folder: Path) -> Path:
    """Build the wheel into this folder, with the real build backend."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={folder}", ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(wheel: Path, python: Path, *, django: str = "") -> Path:
    """Return the Python of an environment of its own with this wheel and all that it asks for, kept for the next run.

    What it asks for comes in the versions of requirements.txt, but for Django where one is named.
    """
    where = HOSTS / f"{python.name}-django-{django or 'locked'}"
    pins = constraints(django)
    asked, held = where / fingerprint(python, pins, metadata(wheel)), where / fingerprint(wheel.read_bytes())
    HOSTS.mkdir(exist_ok=True)
    with (HOSTS / f"{where.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not asked.exists():
            (HOSTS / f"{where.name}.txt").write_text(pins)
            create(python, where)
            install(where, "--constraint", HOSTS / f"{where.name}.txt", wheel)
        elif not held.exists():
            install(where, "--no-deps", "--force-reinstall", wheel)
        for other in where.glob("made-of-*"):
            other.unlink()
        asked.touch()
        held.touch()
    return where / dev.IN_VENV


def fingerprint(*things: object) -> str:
    return "made-of-" + hashlib.sha256(repr(things).encode()).hexdigest()[:16]


def metadata(wheel: Path) -> list[str]:
    """What the wheel is called, and what it asks for."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return [line for line in opened.read(name).decode().splitlines() if line.startswith(("Name: ", "Requires-"))]


def create(python: Path, where: Path) -> None:
    dev.execute(python, "-m", "venv", "--clear", where)


def install(where: Path, *what: str | Path) -> None:
    dev.execute(where / dev.IN_VENV, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def constraints(django: str) -> str:
    lines = re.findall(r"^\S+==.*?(?= \\$)", dev.RUN_LOCK.read_text(), flags=re.MULTILINE)
    return "\n".join(line for line in lines if not (django and line.startswith("django=="))) + (
        f"\ndjango=={django}\n" if django else "\n"
    )


# --- The site -------------------------------------------------------------------------------------


def blocks(*, before: bool) -> dict[str, str]:
    """What docs/reuse.md says to write, by the file it belongs into."""
    page = (ROOT / "docs/reuse.md").read_text()
    return {name: text for name, early, text in BLOCK.findall(page) if bool(early) is before}


class FreshSite:
    """`startproject`, with what the page says at the end of its files."""

    def __init__(self, python: Path, folder: Path, *, forgotten: str = "", looks: bool = False) -> None:
        self.python, self.folder = python, folder
        folder.mkdir()
        self.env = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONWARNINGS": "error"}
        self.run(python, "-m", "django", "startproject", "mysite", ".")
        for name in ("settings.py", "urls.py"):
            own = [line for line in blocks(before=False)[name].splitlines() if not (forgotten and forgotten in line)]
            with (folder / "mysite" / name).open("a") as file:
                file.write("\n".join([BESIDES * (name == "settings.py"), blocks(before=True)[name], *own, ""]))
        if looks:
            self.dress()

    def dress(self) -> None:
        """A base template of the site's own, with a block each for title, head and content."""
        (self.folder / "templates/twofactor").mkdir(parents=True)
        (self.folder / "templates/base.html").write_text(
            "<title>{% block title %}{% endblock %} - My site</title>{% block head %}{% endblock %}"
            "<header>My site</header>{% block content %}{% endblock %}"
        )
        name = "templates/twofactor/base.html"
        (self.folder / name).write_text(blocks(before=False)[name])

    def run(self, *command: Any, fails: bool = False) -> str:
        """Run this in the site's folder; return what it says, and on the way see that it ends as expected."""
        how: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 60}
        done = subprocess.run(command, cwd=self.folder, env=self.env, check=False, **how)
        assert bool(done.returncode) is fails, done.stdout
        return done.stdout

    def make_key(self) -> str:
        """Type what the page says, in a shell, and go on with the key that this made."""
        script = blocks(before=False)["shell"] + 'printf "\\nkey=%s" "$TWOFACTOR_KEYS"'
        said = self.run("bash", "-euc", script)
        self.env["TWOFACTOR_KEYS"] = said.rsplit("key=", 1)[1]
        return said

    def mails(self) -> str:
        """What was mailed so far, oldest first, as it is read."""
        sent = [email.message_from_bytes(path.read_bytes()) for path in sorted((self.folder / "mails").glob("*"))]
        texts = [part for message in sent for part in message.walk() if part.get_content_type() == "text/plain"]
        return "\n".join(part.get_payload(decode=True).decode() for part in texts)

    @contextmanager
    def serving(self) -> Iterator["HttpBrowser"]:
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [self.python, "manage.py", "runserver", "--noreload", address]
        with (self.folder / "server.log").open("w") as log:
            server = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        try:
            yield HttpBrowser(f"http://{address}", alive=lambda: server.poll() is None)
        finally:
            server.terminate()
            server.wait(30)


class HttpBrowser:
    """Cookies, redirects and forms over plain HTTP, as a browser without JavaScript has them."""

    def __init__(self, origin: str, *, alive: Any) -> None:
        self.origin, self.cookies = origin, CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        give_up = time.monotonic() + 30
        while alive() and time.monotonic() < give_up:
            try:
                self.get("/accounts/login/")
            except OSError:
                continue
            return
        raise AssertionError("the server does not answer")

    def get(self, path: str) -> Page:
        return self._open(urllib.request.Request(urljoin(self.origin, path)))  # noqa: S310

    def post(self, path: str, **fields: Any) -> Page:
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        data = urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        return self._open(urllib.request.Request(urljoin(self.origin, path), data))  # noqa: S310

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            answer = self.opener.open(request, timeout=30)
        except HTTPError as refused:
            answer = refused
        with answer:
            html = answer.read().decode()
        assert answer.status in (200, 404, 422), html  # a new site has no page at /
        return Page(urlsplit(answer.url).path, html)
