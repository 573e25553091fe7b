#!/usr/bin/env python3
"""Set up, run, test and check the site: python3 dev.py COMMAND. Needs only Python 3.11 or newer."""

from __future__ import annotations

import base64
import hashlib
import inspect
import itertools
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
IN_VENV = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON = VENV / IN_VENV
ENV_FILE = ROOT / ".env"
# Packages that run the site, packages for development, and packages of the site that bench compares it with.
RUN_LOCK, DEV_LOCK = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
BENCH_VENV = ROOT / ".venv-bench"
# Not sys.executable: in .venv that file is deleted when the environment is created anew.
BASE_PYTHON = Path(sys.executable).resolve()
# Options of the server, here and in docs/deploy.md. A thread waits while a request body arrives: with four threads,
# eight slow clients stopped the site. A process is replaced after six hours, above 300 MB, or when it has ended.
SERVER = [
    *("--interface", "wsgi", "--http", "1", "--no-ws", "--blocking-threads", "32"),
    *("--http1-header-read-timeout", "10000", "--respawn-failed-workers", "--workers-lifetime", "6h"),
    *("--workers-max-rss", "300", "--workers-kill-timeout", "30"),
]
# glibc would keep the 19 MiB of a password hash for each thread: 484 MB a process, over 89 MB (docs/performance.md).
MEMORY_SETTINGS = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8388608:glibc.malloc.trim_threshold=8388608"
}
# The app's tests have a pytest.ini of their own. A run of pytest has one, so they cannot run with the others.
APP_TESTS = "twofactor"
# Plain pytest leaves the folder `processes` out.
COLLECT_ALL = "--override-ini=norecursedirs=.*"
SITE_TESTS = ("accounts/tests", "config/tests", "bench/tests", "e2e")
DATABASE_TESTS = SITE_TESTS[:2]
ON_POSTGRESQL = "on PostgreSQL"
# Screenshots need a font, and Playwright's driver needs libatomic.
BROWSER_PACKAGES = ("fonts-dejavu-core", "libatomic1")


# --- Commands: help shows the first line of each docstring ----------------------------------------


def run(address: str = "") -> NoReturn:
    """[PORT]  Serve the site for development on PORT or HOST:PORT (8000), with a demo account; emails are printed."""
    host, port = listening_address(address)
    install(RUN_LOCK)
    create_env_file()
    env = {"SITE_URL": site_url(host, port), **os.environ} if address else dict(os.environ)
    manage("migrate", "--verbosity=0", env=env)
    manage("demo", env=env)
    if address:
        url = env["SITE_URL"]
        say(f"Emails link to {url}. In another terminal: SITE_URL={url} {VENV.name}/{IN_VENV} manage.py ...")
    become(PYTHON, "manage.py", "runserver", f"{host}:{port}", env=env)


def serve(address: str = "") -> NoReturn:
    """[PORT]  Serve the site as in production, over plain HTTP, with WEB_CONCURRENCY processes (2)."""
    host, port = listening_address(address)
    processes = process_count()
    install(RUN_LOCK)
    create_env_file()
    url = site_url(host, port)
    env = MEMORY_SETTINGS | dict(os.environ)
    env |= {
        "DEBUG": "false",
        "USE_HTTPS": "false",
        "ALLOWED_HOSTS": f"{host},localhost,127.0.0.1",
        "SITE_URL": url,
        "CSRF_TRUSTED_ORIGINS": url,
    }
    manage("migrate", "--verbosity=0", env=env)
    manage("collectstatic", "--no-input", "--verbosity=0", env=env)
    say(f"Serving {url} with the database and the keys of {ENV_FILE.name}. Press Ctrl-C to stop.")
    # granian takes no host name.
    where = ["--workers", processes, "--host", socket.gethostbyname(host), "--port", str(port)]
    become(PYTHON, "-m", "granian", *SERVER, *where, "config.wsgi:application", env=env)


def test(*pytest_args: str) -> NoReturn:
    """[PYTEST ARGS]  Run all tests in parallel; with arguments, run pytest with them, in one process."""
    install(DEV_LOCK)
    install_browser()
    if not shutil.which("oathtool"):
        apt_install("oathtool")
    # With it, each process of a run compiles all tests again, which takes half of the start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(not (run_pytest(*pytest_args) if pytest_args else run_all_tests()))


def run_all_tests() -> bool:
    """Run the site's tests in parallel, and beside them the app's, and on PostgreSQL what the database decides.

    Each run beside is one process, so that its start costs little and no core is idle. Return whether all passed.
    """
    start = time.monotonic()
    # One more than the cores, because a test waits for its browser or its server about a third of the time.
    parallel = [f"--numprocesses={min(os.cpu_count() or 1, 8) + 1}", "--dist=worksteal"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        beside = {
            "app": [APP_TESTS],
            "app on PostgreSQL": [APP_TESTS, "-m", "database"],
            # A run deletes the folder of screenshots first.
            "site on PostgreSQL": [*DATABASE_TESTS, "-m", "database", f"--output={folder}/screenshots"],
        }
        started = [start_pytest(run, folder, *arguments, log=folder / run) for run, arguments in beside.items()]
        codes = [start_pytest("site", folder, *parallel, COLLECT_ALL, *SITE_TESTS).wait()]
        for run, pytest in zip(beside, started, strict=True):
            codes.append(pytest.wait())
            say(f"The tests of the {run}:\n{(folder / run).read_text(errors='replace')}")
        counts = report_tests(*folder.glob("*.xml"))
        # Without PostgreSQL, or after an error in a conftest.py, a run writes no report.
        counts += "".join(f", none of the {run}" for run in ("site", *beside) if not (folder / f"{run}.xml").exists())
    say(f"{'FAILED' if any(codes) else 'Passed'} in {time.monotonic() - start:.0f} seconds: {counts}.")
    return not any(codes)


def start_pytest(run: str, folder: Path, *arguments: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start pytest with a report in this folder. Its output goes to the terminal, or into the log."""
    report = ["--quiet", "--override-ini=junit_family=xunit1", f"--junitxml={folder / run}.xml"]
    env = os.environ | ({"TEST_DATABASE": "postgresql"} if run.endswith(ON_POSTGRESQL) else {})
    with log.open("wb") if log else nullcontext() as output:
        command: list[str | Path] = [PYTHON, "-m", "pytest", *report, *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)


def report_tests(*reports: Path) -> str:
    """Print the ten slowest tests and the command that repeats each failure. Return the numbers of tests."""
    tests = [
        (path.stem, test)
        for path in reports
        for test in ET.parse(path).iter("testcase")  # noqa: S314 - pytest wrote it
    ]
    tests.sort(key=lambda found: float(found[1].get("time", 0)), reverse=True)
    say("The ten slowest tests:")
    for run, test in tests[:10]:
        say(f"  {float(test.get('time', 0)):5.1f} s  {test_id(run, test)}")
    for run, test in tests:
        if test.find("failure") is not None or test.find("error") is not None:
            database = "TEST_DATABASE=postgresql " if run.endswith(ON_POSTGRESQL) else ""
            say(f"Failed. To run it alone: {database}python3 dev.py test {shlex.quote(test_id(run, test))}")
    skipped = sum(test.find("skipped") is not None for _, test in tests)
    return f"{len(tests)} tests, {skipped} of them skipped"


def test_id(run: str, test: ET.Element) -> str:
    """Return the FILE::TEST of a test case in a report."""
    folder = f"{APP_TESTS}/" if run.startswith("app") else ""
    return f"{folder}{test.get('file')}::{test.get('name')}"


def run_pytest(*arguments: str) -> bool:
    """Run pytest with these arguments in the app's root, in the site's, or in both. Return whether it passed."""
    paths = [path for before, path in itertools.pairwise(("", *arguments)) if is_test_path(before, path)]
    options = [argument for argument in arguments if argument not in paths]
    app = [path for path in paths or [APP_TESTS] if Path(path).parts[0] == APP_TESTS]
    site = [path for path in paths or SITE_TESTS if path not in app]
    runs: list[list[str | Path]] = [[PYTHON, "-m", "pytest", *options, *chosen] for chosen in (app, site) if chosen]
    codes = {subprocess.run(run, cwd=ROOT, check=False).returncode for run in runs}
    # 5 means that no test was selected, for example by -k in one of the two roots.
    return 0 in codes and codes <= {0, 5}


def is_test_path(before: str, argument: str) -> bool:
    """Return whether the argument is FILE, FOLDER or FILE::TEST, and not the value of an option such as -k."""
    return before not in ("-k", "-m", "-n", "-o", "-p", "-W") and (ROOT / argument.split("::", maxsplit=1)[0]).exists()


def mutants(*options: str) -> NoReturn:
    """[MUTMUT OPTIONS]  Test the tests: change the code that checks codes, and list changes that no test finds."""
    install(DEV_LOCK)
    become(PYTHON, "-m", "twofactor.tests.mutants", *options)


def pictures() -> NoReturn:
    """Take the screenshots of README.md and docs/ again."""
    install(DEV_LOCK)
    install_browser()
    become(PYTHON, "-m", "pytest", "--quiet", "e2e/take_pictures.py")


def bench(*arguments: str) -> NoReturn:
    """[PARTS] [OPTIONS]  Measure the site and a site with allauth.mfa; see bench --help."""
    install(DEV_LOCK)
    install(RUN_LOCK, venv=BENCH_VENV)
    become(PYTHON, "-m", "bench", *arguments, env=os.environ | {"BENCH_PYTHON": str(BENCH_VENV / IN_VENV)})


def check() -> None:
    """Check format, lint, types, templates, migrations, and Django's deployment checks with production settings."""
    install(DEV_LOCK)
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
        failed = [name for name, result in zip(steps, results, strict=True) if not report(name, result)]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


def lock(*options: str) -> None:
    """[UV OPTIONS]  Update the lock files after a change of pyproject.toml; --upgrade also takes newer versions."""
    install(DEV_LOCK)
    compile_lock(RUN_LOCK, "--group=pyproject.toml:site", "pyproject.toml", *options)
    groups = ["--group=pyproject.toml:site", "--group=pyproject.toml:dev"]
    compile_lock(DEV_LOCK, "--constraints=requirements.txt", *groups, "pyproject.toml", *options)


def compile_lock(path: Path, *arguments: str) -> None:
    """Write a lock file with hashes, for every platform and every supported Python. Keep versions that still fit."""
    platforms = ["--universal", "--python-version=3.11"]
    output = ["--quiet", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--output-file"]
    env = os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "python3 dev.py lock"}
    command = ["-m", "uv", "pip", "compile", *platforms, *output]
    execute(PYTHON, *command, path.relative_to(ROOT), *arguments, env=env, stdout=subprocess.DEVNULL)


COMMANDS = {command.__name__: command for command in (run, test, check, serve, bench, mutants, pictures, lock)}


# --- Installation ---------------------------------------------------------------------------------


def install(*locks: Path, venv: Path = VENV) -> None:
    """Install the packages of these lock files into a virtual environment, unless it has them."""
    stamp = venv / "installed-locks"
    installed = set(stamp.read_text().split()) if (venv / IN_VENV).exists() and stamp.exists() else set()
    # DEV_LOCK includes RUN_LOCK.
    needed = {fingerprint(path) for path in (RUN_LOCK, *locks)}
    if needed <= installed:
        return
    say(f"Installing {', '.join(str(path.relative_to(ROOT)) for path in locks)} into {venv.name} (once) ...")
    # Without the stamp, an interrupted installation starts again.
    stamp.unlink(missing_ok=True)
    # Tools for development are added to an environment that may be serving the site. A changed RUN_LOCK replaces it.
    create_venv(venv, clear=fingerprint(RUN_LOCK) not in installed)
    files = [f"--requirement={path}" for path in locks]
    quiet = ["--quiet", "--disable-pip-version-check"]
    execute(venv / IN_VENV, "-m", "pip", "install", *quiet, "--require-hashes", *files)
    stamp.write_text("\n".join(needed))


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes() + sys.version.encode()).hexdigest()


def create_venv(venv: Path, *, clear: bool) -> None:
    """Create a virtual environment with pip. On Debian, this requires the package python3-venv."""
    has_ensurepip = quietly(BASE_PYTHON, "-c", "import ensurepip").returncode == 0
    if not (has_ensurepip or apt_install("python3-venv")):
        sys.exit(f"{BASE_PYTHON} has no ensurepip. On Debian or Ubuntu: sudo apt-get install python3-venv")
    execute(BASE_PYTHON, "-m", "venv", *(["--clear"] if clear else []), venv)


def install_browser() -> None:
    """Install a browser if none starts, or exit: the browser tests are never skipped."""
    probe: list[str | Path] = [PYTHON, "-m", "e2e.browser"]
    if quietly(*probe).returncode == 0:
        return
    # A browser named by E2E_BROWSER must be the one that runs.
    if "E2E_BROWSER" not in os.environ and not (
        apt_install("chromium-headless-shell", *BROWSER_PACKAGES) or apt_install("chromium", *BROWSER_PACKAGES)
    ):
        attempt(PYTHON, "-m", "playwright", "install", "chromium")
    result = quietly(*probe)
    if result.returncode != 0:
        sys.exit(f"{result.stdout}Install Chromium or Chrome, or set E2E_BROWSER to its path.")


def apt_install(*packages: str) -> bool:
    """Install Debian packages if this is Debian and the user is root. Return whether they are installed."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return attempt("apt-get", "update", *quiet, env=env) and attempt(
        "apt-get", "install", *quiet, "--yes", "--no-install-recommends", *packages, env=env
    )


# --- Settings -------------------------------------------------------------------------------------


def create_env_file() -> None:
    """Create a .env for development with random keys, unless there is one."""
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
    """Return the environment of a production site, so that the developer's .env has no effect."""
    return os.environ | {
        "DEBUG": "false",
        "USE_HTTPS": "true",
        "SECRET_KEY": new_secret_key(),
        "TWOFACTOR_KEYS": new_sealing_keys(),
        "ALLOWED_HOSTS": "example.com",
        "SITE_URL": "https://example.com",
        "CSRF_TRUSTED_ORIGINS": "https://example.com",
        "DATABASE_URL": f"sqlite:///{folder}/check.sqlite3",
        "EMAIL_URL": "smtp://localhost:25",
        "TWOFACTOR_DRIFT_WINDOW": "1",
        "TWOFACTOR_GRACE_DAYS": "0",
        "TWOFACTOR_NEW_BROWSER_EMAIL": "on",
        "TWOFACTOR_REQUIRED": "staff",
        "TWOFACTOR_TRUST_DAYS": "0",
        "SECURITY_CONTACT": "",
        "SECURITY_EXPIRES": "",
        "SENTRY_DSN": "",
        "SOURCE_URL": "",
    }


def listening_address(address: str) -> tuple[str, int]:
    """Split PORT or HOST:PORT. Exit with a message if the server could not listen there.

    The default host is localhost, because browsers refuse passkeys on an IP address.
    """
    host, _, port = address.rpartition(":")
    host, port = host or "localhost", port or "8000"
    if not (port.isdecimal() and int(port) < 2**16):
        sys.exit(f"{address!r} is not a port: expected PORT or HOST:PORT.")
    with socket.socket() as probe:
        # As the servers do. Without it, closed connections block the port for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            sys.exit(f"Cannot listen on {host}:{port}: {error.strerror}. Try python3 dev.py {sys.argv[1]} PORT.")
    return host, int(port)


def process_count() -> str:
    """Return WEB_CONCURRENCY, the number of server processes. Exit with a message if it is invalid."""
    value = os.environ.get("WEB_CONCURRENCY", "").strip() or "2"
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        sys.exit(f"WEB_CONCURRENCY={value!r} is not a number of processes: expected 1 or more.")
    return value


def site_url(host: str, port: int) -> str:
    return f"http://{host}:{port}"


# --- Processes ------------------------------------------------------------------------------------


def say(sentence: str) -> None:
    print(sentence, flush=True)


def execute(*command: str | Path, **options: Any) -> None:
    """Run a command in the project's root. Raise CalledProcessError if it fails."""
    subprocess.run(command, cwd=ROOT, check=True, **options)


def attempt(*command: str | Path, **options: Any) -> bool:
    """Run a command in the project's root. Return whether it succeeded."""
    return subprocess.run(command, cwd=ROOT, check=False, **options).returncode == 0


def quietly(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's root, with its output and its errors in `.stdout` of the result."""
    return subprocess.run(
        command,
        cwd=ROOT,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def manage(*arguments: str, env: dict[str, str]) -> None:
    execute(PYTHON, "manage.py", *arguments, env=env)


def become(*command: str | Path, env: dict[str, str] | None = None) -> NoReturn:
    """Replace this process by the command, which then gets the signals and sets the exit status."""
    os.chdir(ROOT)
    arguments = [str(part) for part in command]
    if os.name == "nt":  # On Windows, exec would return to the prompt at once.
        sys.exit(subprocess.run(arguments, env=env, check=False).returncode)
    os.execve(arguments[0], arguments, os.environ if env is None else env)


def report(step: str, result: subprocess.CompletedProcess[str]) -> bool:
    """Print whether a step succeeded, and its output if it failed. Return whether it succeeded."""
    succeeded = result.returncode == 0
    say(f"ok      {step}" if succeeded else f"FAILED  {step}\n{result.stdout.rstrip()}\n")
    return succeeded


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
