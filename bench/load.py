"""Part `load`: sign-ins per second with two server processes, and the memory of a process."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, product
from pathlib import Path
from statistics import median
from threading import Lock, Thread

import httpx

from bench.journeys import BenchUser
from bench.measure import percentile
from bench.sites import Configuration, Site
from bench.table import Table
from bench.visitor import Unexpected, Visitor

WORKERS = 2
MAX_RATE = 250  # sign-ins a second for which there are enough users
REUSE_SECONDS = 45  # until a user signs in again; longer than a time step, because a code works once
COLUMNS = (
    "site",
    "clients",
    "seconds",
    "sign-ins",
    "a second",
    "ms each",
    "p95",
    "errors",
    "lost",
    "worker RSS MB",
    "PSS MB",
)


@dataclass
class Load:
    """The results of the clients of one run."""

    users: Iterator[BenchUser]
    deadline: float
    elapsed: float = 0  # seconds, including sign-ins that ended after `deadline`
    durations: list[float] = field(default_factory=list)  # milliseconds
    errors: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def sign_in_repeatedly(self, site: Site) -> None:
        while time.monotonic() < self.deadline:
            with self.lock:
                user = next(self.users)
            visitor, began = Visitor(site.port, htmx=True), time.monotonic()
            try:
                site.client.sign_in(visitor, user)
                self.durations.append((time.monotonic() - began) * 1000)
            except (Unexpected, httpx.TransportError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            finally:
                visitor.close()


def load(configuration: Configuration, *, clients: Sequence[int], seconds: float) -> Iterator[Table]:
    """Sign in as fast as possible with each number of parallel clients, on each site."""
    table = Table(f"{configuration}: sign-ins with {WORKERS} server processes", COLUMNS)
    failures: list[str] = []
    with ExitStack() as stack:
        sites = stack.enter_context(configuration.sites())
        needed = int(MAX_RATE * min(REUSE_SECONDS, seconds * len(clients))) + max(clients)
        users = {site: cycle(site.create_users({"on": needed}, signed_in=False)) for site in sites}
        for count, site in product(clients, sites):
            before = site.rows("count_sessions")
            # One server at a time: two would need more connections than PostgreSQL allows by default.
            with site.served(workers=WORKERS):
                run = run_load(site, users[site], count, seconds)
                memory = memory_of(site.workers())
            lost = len(run.durations) - site.rows("count_sessions", already_counted=before)
            table.add(site.client.name, str(count), f"{seconds:g}", *cells(run), str(lost), *memory)
            failures += [*run.errors, *logged_errors(site.log.read_text())] if run.errors else []
    yield table
    if failures:
        yield table_of(failures)


def logged_errors(log: str) -> Iterator[str]:
    """Yield the last line of each traceback in the server's log."""
    for line in log.splitlines():
        if '"level": "ERROR"' in line:
            entry = json.loads(line)
            yield f"log: {entry.get('traceback', entry['message']).strip().splitlines()[-1][:200]}"


def table_of(failures: list[str]) -> Table:
    table = Table("Errors", ("count", "error"))
    for failure in sorted(set(failures)):
        table.add(str(failures.count(failure)), failure.replace("|", "/"))
    return table


def run_load(site: Site, users: Iterator[BenchUser], clients: int, seconds: float) -> Load:
    began = time.monotonic()
    run = Load(users, began + seconds)
    threads = [Thread(target=run.sign_in_repeatedly, args=[site]) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.elapsed = time.monotonic() - began
    return run


def cells(run: Load) -> list[str]:
    durations = run.durations or [0.0]
    return [
        str(len(run.durations)),
        f"{len(run.durations) / run.elapsed:.1f}",
        f"{median(durations):.0f}",
        f"{percentile(durations, 95):.0f}",
        str(len(run.errors)),
    ]


def memory_of(workers: list[int]) -> list[str]:
    """Return the highest RSS and PSS of a worker, in MB. PSS divides shared memory among the processes."""
    most = {"Rss": 0, "Pss": 0}
    for pid in workers:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, size = line.partition(":")
            if name in most:
                most[name] = max(most[name], int(size.split()[0]))
    return [f"{kilobytes / 1024:.0f}" if workers else "" for kilobytes in most.values()]
