"""Measure one journey, and compute statistics over many measurements."""

import time
from dataclasses import dataclass

from bench.journeys import BenchUser, Journey
from bench.sites import Site
from bench.visitor import Visitor

STEP_SECONDS = 30
MARGIN = 4  # seconds before the end of a time step in which no journey starts, because its code would expire


@dataclass(frozen=True)
class Cost:
    requests: int
    queries: int
    cpu: float  # milliseconds
    wall: float  # milliseconds
    received: int  # bytes


def cost_of(site: Site, journey: Journey, user: BenchUser, *, cold: bool = False) -> Cost:
    """Run this journey once. Return its requests, queries, CPU time, wall time and bytes received."""
    avoid_end_of_time_step()
    session = user.session if journey.signed_in else ""
    visitor = Visitor(site.port, session=session, htmx=journey.htmx, cold=cold)
    if journey.before:
        getattr(site.client, journey.before)(visitor, user)
    requests, received, before = visitor.requests, visitor.received, site.cost()
    began = time.perf_counter()
    getattr(site.client, journey.method)(visitor, user)
    wall = time.perf_counter() - began
    after = site.cost()
    visitor.close()
    return Cost(
        visitor.requests - requests,
        int(after["queries"] - before["queries"]),
        (after["cpu"] - before["cpu"]) * 1000,
        wall * 1000,
        visitor.received - received,
    )


def avoid_end_of_time_step() -> None:
    """Wait for the next time step if fewer than MARGIN seconds are left."""
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < MARGIN:
        time.sleep(left)


def percentile(values: list[float], percent: int) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def quartiles(values: list[float]) -> tuple[float, float]:
    return percentile(values, 25), percentile(values, 75)
