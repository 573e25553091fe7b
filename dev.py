#!/usr/bin/env python3
"""Set up, run, test and check the site: python3 dev.py COMMAND. Needs only Python 3.11 or newer."""

from __future__ import annotations

import base64
import hashlib
import inspect
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
IN_VENV = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON = VENV / IN_VENV
ENV_FILE = ROOT / ".env"
# What runs the site, and what works on it: the second holds all of the first, in the same versions.
RUN_LOCK, DEV_LOCK = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
# Where the site is measured, and what it is measured against.
BENCH_LOCK, BENCH_VENV = ROOT / "bench/peer/requirements.txt", ROOT / ".venv-bench"
# Not sys.executable: in .venv that is the very file which a set-up from scratch takes away.
BASE_PYTHON = Path(sys.executable).resolve()
# How the site is served, here and by docs/deploy.md. A thread waits as long as a body takes to come: with four, eight
# slow clients were enough to stop the site. One process at a time is renewed, when it is old, too big or gone.
SERVER = [
    *("--interface", "wsgi", "--http", "1", "--no-ws", "--blocking-threads", "32"),
    *("--http1-header-read-timeout", "10000", "--respawn-failed-workers", "--workers-lifetime", "6h"),
    *("--workers-max-rss", "300", "--workers-kill-timeout", "30"),
]
# A password's hash takes 19 MiB. By itself glibc soon keeps as much for each thread; in huge pages to give it back
# and ask for it anew costs next to nothing. The 1 MiB of a backup code's is kept, since it is asked for ten times.
# Threads that share the interpreter's lock need no heaps of their own.
GIVES_BACK_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2"
    ":glibc.malloc.mmap_threshold=8388608:glibc.malloc.trim_threshold=8388608"
}
# What says most of the database for its time: the table of every address takes ten seconds, and asks little of it.
DATABASE_TESTS = (
    *("twofactor/tests", "accounts/tests", "config/tests"),
    "--ignore=config/tests/test_access_matrix.py",
)
# Without fonts screenshots show boxes; without libatomic Playwright's own driver does not start.
BROWSER_NEEDS = ("fonts-dejavu-core", "libatomic1")


# --- The commands: what help says of each is the first line of its docstring ----------------------


def run(address: str = "") -> NoReturn:
    """[PORT]  Serve the site for development, on port 8000 or PORT (or HOST:PORT); demo account, emails shown here."""
    host, port = listening_address(address)
    ensure_venv(RUN_LOCK)
    ensure_env_file()
    env = {"SITE_URL": site_url(host, port), **os.environ} if address else dict(os.environ)
    manage("migrate", "--verbosity=0", env=env)
    manage("demo", env=env)
    if address:
        url = env["SITE_URL"]
        say(f"Emails link to {url}. In another terminal: SITE_URL={url} {VENV.name}/{IN_VENV} manage.py ...")
    become(PYTHON, "manage.py", "runserver", f"{host}:{port}", env=env)


def serve(address: str = "") -> NoReturn:
    """[PORT]  Serve the site as in production, on port 8000 or PORT: DEBUG off, WEB_CONCURRENCY processes, or two."""
    host, port = listening_address(address)
    processes = process_count()
    ensure_venv(RUN_LOCK)
    ensure_env_file()
    url = site_url(host, port)
    env = GIVES_BACK_MEMORY | dict(os.environ)
    env |= {
        "DEBUG": "false",
        "USE_HTTPS": "false",
        "ALLOWED_HOSTS": f"{host},127.0.0.1,localhost",
        "SITE_URL": url,
        "CSRF_TRUSTED_ORIGINS": url,
    }
    manage("migrate", "--verbosity=0", env=env)
    manage("collectstatic", "--no-input", "--verbosity=0", env=env)
    say(f"Serving {url} with the database and the keys of {ENV_FILE.name}; Ctrl-C ends it.")
    where = ["--workers", processes, "--host", host, "--port", str(port)]
    become(PYTHON, "-m", "granian", *SERVER, *where, "config.wsgi:application", env=env)


def test(*pytest_args: str) -> NoReturn:
    """[PYTEST ARGS]  Run every test, in parallel; with arguments, what pytest makes of them, one by one."""
    ensure_venv(DEV_LOCK)
    ensure_browser()
    ensure_oathtool()
    # One more than there are cores: a test waits for its browser or its server about a third of the time.
    processes = min(os.cpu_count() or 1, 8) + 1
    if pytest_args:
        become(PYTHON, "-m", "pytest", *pytest_args)
    everything: list[str | Path] = [PYTHON, "-m", "pytest", f"--numprocesses={processes}", "--dist=worksteal"]
    passed_once = attempt(*everything)
    say("Once more, on PostgreSQL and Redis: the tests that ask the database.")
    passed_again = attempt(*everything, *DATABASE_TESTS, env=os.environ | {"TEST_DATABASE": "postgresql"})
    sys.exit(not (passed_once and passed_again))


def pictures() -> NoReturn:
    """Take the pictures of README.md and docs anew, so that they never lie."""
    ensure_venv(DEV_LOCK)
    ensure_browser()
    become(PYTHON, "-m", "pytest", "--quiet", "e2e/take_pictures.py")


def bench(*arguments: str) -> NoReturn:
    """[PARTS] [OPTIONS]  Measure the site, beside one with django-allauth's own second factor; --help says more."""
    ensure_venv(DEV_LOCK)
    ensure_venv(BENCH_LOCK, BENCH_VENV)
    become(PYTHON, "-m", "bench", *arguments, env=os.environ | {"BENCH_PYTHON": str(BENCH_VENV / IN_VENV)})


def check() -> None:
    """Format, lint, types, templates, migrations, and Django's deploy check on production settings."""
    ensure_venv(DEV_LOCK)
    django = [PYTHON, "manage.py"]
    steps = {
        "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "."],
        "ruff check": [PYTHON, "-m", "ruff", "check", "."],
        "mypy": [PYTHON, "-m", "mypy", "."],
        "djlint format": [PYTHON, "-m", "djlint", "--check", "--quiet", "."],
        "djlint lint": [PYTHON, "-m", "djlint", "--lint", "--quiet", "."],
        "migrations": [*django, "makemigrations", "--check", "--dry-run"],
        "deploy check": [*django, "check", "--deploy", "--fail-level", "WARNING"],
    }
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        env = production_environment(folder)
        results = pool.map(lambda command: quietly(*command, env=env), steps.values())
        failed = [name for name, result in zip(steps, results, strict=True) if not passed(name, result)]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


COMMANDS = {command.__name__: command for command in (run, test, check, serve, bench, pictures)}


# --- The virtual environment ----------------------------------------------------------------------


def ensure_venv(lock: Path, venv: Path = VENV) -> None:
    """Give .venv, or another, the packages of this lock, with uv where it is on the path and pip where not.

    The stamp comes last, so a set-up that was cut off is made anew. What works on the site goes on top of
    what runs it, and does not pull the packages from under a server that is up.
    """
    python, stamp = venv / IN_VENV, venv / "installed-locks"
    done = stamp.read_text().split() if python.exists() and stamp.exists() else []
    # The other locks hold all of the first, or name it.
    held = {fingerprint(RUN_LOCK), fingerprint(lock)}
    if held <= {*done}:
        return
    say(f"Installing {lock.relative_to(ROOT)} into {venv.name} (once) ...")
    stamp.unlink(missing_ok=True)
    install_from = with_uv if shutil.which("uv") else with_pip
    install_from(lock, venv, afresh=fingerprint(RUN_LOCK) not in done)
    stamp.write_text("\n".join(held))


def fingerprint(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def with_uv(lock: Path, venv: Path, *, afresh: bool) -> None:
    if afresh:
        execute("uv", "venv", "--quiet", "--clear", "--python", BASE_PYTHON, venv)
    execute("uv", "pip", "install", "--quiet", "--python", venv / IN_VENV, "--require-hashes", "-r", lock)


def with_pip(lock: Path, venv: Path, *, afresh: bool) -> None:
    if afresh:
        execute(BASE_PYTHON, "-m", "venv", "--clear", "--without-pip", venv)
    quiet = ["--quiet", "--disable-pip-version-check"]
    execute(*pip_for(venv / IN_VENV), "install", *quiet, "--require-hashes", "-r", lock)


def pip_for(python: Path) -> list[str | Path]:
    """Return the command that is pip for this Python; Debian splits ensurepip out of Python, and pip too."""
    if not (has_module("ensurepip") or has_module("pip")) and may_use_apt():
        apt_install("python3-venv")
    if has_module("ensurepip"):
        execute(python, "-m", "ensurepip", stdout=subprocess.DEVNULL)
        return [python, "-m", "pip"]
    if has_module("pip"):
        return [BASE_PYTHON, "-m", "pip", "--python", python]
    sys.exit(f"{BASE_PYTHON} has neither ensurepip nor pip. On Debian or Ubuntu: sudo apt-get install python3-venv")


def has_module(name: str) -> bool:
    """Can the Python under .venv import this? Asked of it, since this one may be a virtual environment's."""
    return quietly(BASE_PYTHON, "-c", f"import {name}").returncode == 0


# --- What the tests need beside packages ----------------------------------------------------------


def ensure_browser() -> None:
    """See to it that a browser starts, or end: the end-to-end tests are never left out in silence."""
    probe: list[str | Path] = [PYTHON, "-m", "e2e.browser"]
    if attempt(*probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        return
    for install in (
        lambda: apt_install("chromium-headless-shell", *BROWSER_NEEDS),
        lambda: apt_install("chromium", *BROWSER_NEEDS),
        lambda: attempt(PYTHON, "-m", "playwright", "install", "chromium"),
    ):
        # One that was named is to be the one that runs, whatever else could be had.
        if "E2E_BROWSER" not in os.environ and install() and attempt(*probe):
            return
    said = quietly(*probe).stdout
    sys.exit(f"{said}Install Chromium or Chrome, or set E2E_BROWSER=/path/to/it.")


def ensure_oathtool() -> None:
    """Install the other program that makes codes, where we may; else its tests name themselves skipped."""
    if not shutil.which("oathtool"):
        apt_install("oathtool")


def may_use_apt() -> bool:
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def apt_install(*packages: str) -> bool:
    """Install Debian packages where we may; return whether they are there."""
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
    options = [*quiet, "--yes", "--no-install-recommends"]
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return (
        may_use_apt()
        and attempt("apt-get", "update", *quiet, env=env)
        and attempt("apt-get", "install", *options, *packages, env=env)
    )


# --- Settings -------------------------------------------------------------------------------------


def ensure_env_file() -> None:
    """Write a .env for work on this machine unless there is one: random keys, readable by its owner alone."""
    try:
        handle = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as file:
        file.write(f"SECRET_KEY={new_secret_key()}\n")
        file.write(f"TWOFACTOR_KEYS={new_sealing_keys()}\n")
        file.write("DEBUG=true\nEMAIL_URL=consolemail://\n")
    say(f"Wrote {ENV_FILE.name} with new random keys.")


def new_secret_key() -> str:
    return secrets.token_urlsafe(50)


def new_sealing_keys() -> str:
    return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()


def production_environment(folder: str) -> dict[str, str]:
    """Return an environment as a real site would have it, so that a developer's own .env decides nothing."""
    return os.environ | {
        "DEBUG": "false",
        "USE_HTTPS": "true",
        "SECRET_KEY": new_secret_key(),
        "TWOFACTOR_KEYS": new_sealing_keys(),
        "ALLOWED_HOSTS": "example.com",
        "SITE_URL": "https://example.com",
        "CSRF_TRUSTED_ORIGINS": "https://example.com",
        "DATABASE_URL": f"sqlite:///{folder}/check.sqlite3",
        "CACHE_URL": "",
        "EMAIL_URL": "smtp://localhost:25",
        "TWOFACTOR_DRIFT_WINDOW": "1",
        "TWOFACTOR_GRACE_DAYS": "0",
        "TWOFACTOR_REQUIRED": "staff",
        "TWOFACTOR_TRUST_DAYS": "0",
        "SENTRY_DSN": "",
    }


def listening_address(address: str) -> tuple[str, int]:
    """Split `host:port`, or a port alone; end with a sentence if nothing can listen there."""
    host, _, port = address.rpartition(":")
    host, port = host or "127.0.0.1", port or "8000"
    if not (port.isdecimal() and int(port) < 2**16):
        sys.exit(f"{address!r} is not a port: expected PORT or HOST:PORT.")
    with socket.socket() as probe:
        # As the servers do: connections that have ended hold a port for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            sys.exit(f"Cannot listen on {host}:{port}: {error.strerror}. Try python3 dev.py {sys.argv[1]} PORT.")
    return host, int(port)


def process_count() -> str:
    """Return WEB_CONCURRENCY, the number of processes, by default two; end with a sentence if it is none."""
    said = os.environ.get("WEB_CONCURRENCY", "").strip() or "2"
    if not (said.isascii() and said.isdecimal() and int(said) > 0):
        sys.exit(f"WEB_CONCURRENCY={said!r} is no number of processes: expected 1 or more.")
    return said


def site_url(host: str, port: int) -> str:
    return f"http://{host}:{port}"


# --- Running things -------------------------------------------------------------------------------


def say(sentence: str) -> None:
    print(sentence, flush=True)


def execute(*command: str | Path, **how: Any) -> None:
    """Run this from the project's root; CalledProcessError if it fails."""
    subprocess.run(command, cwd=ROOT, check=True, **how)


def attempt(*command: str | Path, **how: Any) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False, **how).returncode == 0


def quietly(*command: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run this and keep what it says, errors included, in `.stdout`."""
    return subprocess.run(
        command,
        cwd=ROOT,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **how,
    )


def manage(*arguments: str, env: dict[str, str]) -> None:
    execute(PYTHON, "manage.py", *arguments, env=env)


def become(*command: str | Path, env: dict[str, str] | None = None) -> NoReturn:
    """Hand this process over to the command, so that signals and the exit status are its own."""
    os.chdir(ROOT)
    arguments = [str(part) for part in command]
    if os.name == "nt":  # where exec would give the prompt back at once
        sys.exit(subprocess.run(arguments, env=env, check=False).returncode)
    os.execve(arguments[0], arguments, os.environ if env is None else env)


def passed(step: str, result: subprocess.CompletedProcess[str]) -> bool:
    """Print the step's verdict, and what it said if it failed."""
    good = result.returncode == 0
    say(f"ok      {step}" if good else f"FAILED  {step}\n{result.stdout.rstrip()}\n")
    return good


def main(arguments: list[str]) -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")
    name, *rest = arguments or ["help"]
    if name not in COMMANDS:
        say("\n".join([str(__doc__), *(f"  {name:<6} {help_line(command)}" for name, command in COMMANDS.items())]))
        sys.exit(name not in ("help", "--help", "-h"))
    command = COMMANDS[name]
    try:
        inspect.signature(command).bind(*rest)
    except TypeError:
        sys.exit(f"Usage: python3 dev.py {name} {help_line(command)}")
    command(*rest)


def help_line(command: Callable[..., None]) -> str:
    return (command.__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"Failed ({error.returncode}): {' '.join(map(str, error.cmd))}")
    except KeyboardInterrupt:
        sys.exit(130)
