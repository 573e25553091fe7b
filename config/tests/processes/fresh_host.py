"""A new site made as docs/reuse.md says: an environment with the wheel, `startproject`, and the page's code blocks."""

import email
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import dev
from config.tests.processes.running_site import running
from twofactor.tests.journeys import free_port, new_client

ROOT = dev.ROOT
HOSTS = ROOT / ".venv-hosts"
BLOCK = re.compile(r"^```\w+ (\S+)( before)?\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
# What the tests need in addition to the page: a social provider, emails as files, a base template, and a quick hasher.
EXTRA_SETTINGS = """
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS += ["allauth.socialaccount", "allauth.socialaccount.providers.dummy"]
if "MAILERS" in globals():  # Django 6.1
    backend = "django.core.mail.backends.filebased.EmailBackend"
    MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"file_path": BASE_DIR / "emails"}}}
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", BASE_DIR / "emails"
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
"""


def build(folder):
    """Build the wheel into this folder."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={folder}", ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(wheel, python, *, django=""):
    """Return the Python of an environment with this wheel and its dependencies. Keep it for the next run.

    The versions of the dependencies are those of requirements.txt, except for `django`.
    """
    where = HOSTS / f"{python.name}-django-{django or 'locked'}"
    constraints, stamp = Path(f"{where}.txt"), where / "made-of"
    pins = re.findall(r"^\S+==.*?(?= \\$)", dev.RUN_LOCK.read_text(), flags=re.MULTILINE)
    if django:
        pins = [line for line in pins if not line.startswith("django==")] + [f"django=={django}"]
    wanted = [fingerprint(python, pins, metadata(wheel)), fingerprint(wheel.read_bytes())]
    pip = [where / dev.IN_VENV, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    HOSTS.mkdir(exist_ok=True)
    with Path(f"{where}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_of = stamp.read_text().split() if stamp.exists() else [""]
        if made_of[0] != wanted[0]:
            constraints.write_text("\n".join([*pins, ""]))
            dev.execute(python, "-m", "venv", "--clear", where)
            dev.execute(*pip, "--constraint", constraints, wheel)
        elif made_of != wanted:
            dev.execute(*pip, "--no-deps", "--force-reinstall", wheel)
        stamp.write_text(" ".join(wanted))
    return where / dev.IN_VENV


def fingerprint(*things):
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]


def metadata(wheel):
    """Return the name and the requirements of the wheel."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return [line for line in opened.read(name).decode().splitlines() if line.startswith(("Name: ", "Requires-"))]


def blocks(*, before):
    """Return the code blocks of docs/reuse.md by file name, either those marked `before` or the others."""
    page = (ROOT / "docs/reuse.md").read_text()
    return {name: text for name, early, text in BLOCK.findall(page) if bool(early) is before}


class FreshSite:
    """A site made by `startproject`, with the code blocks of the page appended to its files.

    With `own_templates` the site has a base template.
    """

    def __init__(self, python, folder, *, own_templates=False):
        self.python, self.folder = python, folder
        folder.mkdir()
        self.env = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONWARNINGS": "error"}
        self.run(python, "-m", "django", "startproject", "mysite", ".")
        self.startproject = {name: (folder / "mysite" / name).read_text() for name in ("settings.py", "urls.py")}
        self.write_settings()
        if own_templates:
            self.write_templates()

    def write_settings(self, *, omit=""):
        """Append the code blocks to the files of `startproject`, without the lines that contain `omit`."""
        for name, start in self.startproject.items():
            own = [line for line in blocks(before=False)[name].splitlines() if not (omit and omit in line)]
            text = "\n".join([start, EXTRA_SETTINGS * (name == "settings.py"), blocks(before=True)[name], *own, ""])
            (self.folder / "mysite" / name).write_text(text)

    def write_templates(self):
        """Write a base template with blocks for title, head and content."""
        (self.folder / "templates/twofactor").mkdir(parents=True)
        (self.folder / "templates/base.html").write_text(
            "<title>{% block title %}{% endblock %} - My site</title>{% block head %}{% endblock %}"
            "<header>My site</header>{% block content %}{% endblock %}"
        )
        name = "templates/twofactor/base.html"
        (self.folder / name).write_text(blocks(before=False)[name])

    def run(self, *command, fails=False):
        """Run a command in the site's folder. Return its output, and assert that it succeeds, or that it `fails`."""
        options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 60}
        done = subprocess.run(command, cwd=self.folder, env=self.env, check=False, **options)
        assert bool(done.returncode) is fails, done.stdout
        return done.stdout

    def make_key(self):
        """Run the commands of the page. Return their output, and keep the key that they created."""
        script = blocks(before=False)["shell"] + 'printf "\\nkey=%s" "$TWOFACTOR_KEYS"'
        output = self.run("bash", "-euc", script)
        self.env["TWOFACTOR_KEYS"] = output.rsplit("key=", 1)[1]
        return output

    def emails(self):
        """Return the plain text of all emails, oldest first."""
        sent = [email.message_from_bytes(path.read_bytes()) for path in sorted((self.folder / "emails").glob("*"))]
        texts = [part for message in sent for part in message.walk() if part.get_content_type() == "text/plain"]
        return "\n".join(part.get_payload(decode=True).decode() for part in texts)

    @contextmanager
    def serving(self):
        """Serve the site. Yield a function that returns a new client."""
        url = f"http://127.0.0.1:{free_port()}"
        command = [self.python, "manage.py", "runserver", "--noreload", url.removeprefix("http://")]
        with running(command, url, self.folder / "server.log", cwd=self.folder, env=self.env):
            yield lambda: new_client(url)
