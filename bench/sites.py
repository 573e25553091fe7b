"""A measured site: its environment, its database, its server."""

import base64
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.journeys import BenchUser, Client, Ours, Peers
from bench.services import Store
from dev import MEMORY_SETTINGS, SERVER
from twofactor.tests.journeys import free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@dataclass(frozen=True)
class Kind:
    """A site to measure: its client, its settings, and the module that creates its rows."""

    client: Client
    settings: str
    rows: str


# A Python without the tools for development, because qrcode loads Pillow if it is installed.
PYTHON = os.environ.get("BENCH_PYTHON", sys.executable)
OURS = Kind(Ours(), "bench.settings", "bench.rows")
PEERS = Kind(Peers(), "bench.peer.settings", "bench.peer.rows")


class Site:
    def __init__(self, kind: Kind, store: Store, folder: Path, *, fast_hasher: bool) -> None:
        self.kind, self.client, self.port = kind, kind.client, free_port()
        self.log = folder / f"{self.port}.log"
        self.env = os.environ | store.environment() | {
            "DJANGO_SETTINGS_MODULE": kind.settings,
            "BENCH_ROWS": kind.rows,
            "BENCH_FAST_HASHER": str(fast_hasher),
            "BENCH_STATIC_ROOT": str(folder / "static"),
            "DEBUG": "false",
            "USE_HTTPS": "false",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "TWOFACTOR_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "CSRF_TRUSTED_ORIGINS": "",
            "SITE_URL": f"http://localhost:{self.port}",
            "EMAIL_URL": "dummymail://",
            "SOURCE_URL": "",
            "TRUSTED_PROXY_COUNT": "1",
            "TWOFACTOR_ISSUER": "Twofactor",
            "TWOFACTOR_NEW_BROWSER_EMAIL": "on",
            "TWOFACTOR_ORIGINS": f"http://localhost:{self.port}",
            "TWOFACTOR_PASSKEYS": "on",
            "TWOFACTOR_REQUIRED": "staff",
            "TWOFACTOR_RP_ID": "localhost",
            "TWOFACTOR_TRUST_DAYS": "0",
        }  # fmt: skip

    def manage(self, *arguments: str) -> None:
        self._run("-m", "django", *arguments, "--verbosity=0")

    def rows(self, function: str, **arguments: Any) -> Any:
        """Call a function of this site's module `rows`."""
        return json.loads(self._run("-m", "bench.orm", function, json.dumps(arguments)))

    def create_users(self, counts: Mapping[str, int], *, signed_in: bool = True) -> list[BenchUser]:
        """Create users. `counts`: how many of each kind of account, as in Journey."""
        return [BenchUser(**row) for row in self.rows("create_users", signed_in=signed_in, **counts)]

    def _run(self, *arguments: str) -> str:
        result = subprocess.run(
            [PYTHON, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{self.client.name}: {' '.join(arguments)[:80]}: {result.stderr[-3000:]}")
        return result.stdout

    @contextmanager
    def served(self, *, workers: int = 2, measured: bool = False) -> Iterator["Site"]:
        """Serve the site as `dev.py serve` does. If `measured`, use one thread and count its cost."""
        size = ["--workers", "1", "--blocking-threads", "1"] if measured else ["--workers", str(workers)]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        entry = "bench.meter:application" if measured else "config.wsgi:application"
        command = [PYTHON, "-m", "granian", *SERVER, *size, *address, entry]
        with self.log.open("ab") as log:
            env = MEMORY_SETTINGS | self.env
            self.server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_ready()
            yield self
        finally:
            self.server.terminate()
            try:
                self.server.wait(15)
            except subprocess.TimeoutExpired:
                self.server.kill()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/accounts/login/", timeout=30).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"{self.client.name} does not start: {self.log.read_text()[-3000:]}")

    def cost(self) -> dict[str, float]:
        """Return the cost so far: `queries`, and `cpu` in seconds."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/bench-meter", timeout=60) as response:
            return json.load(response)

    def workers(self) -> list[int]:
        """Return the process IDs of the workers. Without /proc, the list is empty."""
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]


@dataclass(frozen=True)
class Configuration:
    """What is measured: a database, a hasher and the kinds of site."""

    store: str  # "sqlite" or "postgresql"
    fast_hasher: bool
    kinds: tuple[Kind, ...]
    folder: Path

    def __str__(self) -> str:
        return f"{self.store}, {'fast hasher' if self.fast_hasher else 'hashers as shipped'}"

    @contextmanager
    def sites(self, *kinds: Kind) -> Iterator[list[Site]]:
        """Create one site of each kind, with empty tables. The databases are deleted with the block."""
        with ExitStack() as stack:
            sites = []
            for kind in kinds or self.kinds:
                store = stack.enter_context(Store(self.store, self.folder))
                site = Site(kind, store, self.folder, fast_hasher=self.fast_hasher)
                site.manage("migrate")
                if kind is OURS and not (self.folder / "static").exists():
                    site.manage("collectstatic", "--no-input")
                sites.append(site)
            yield sites
