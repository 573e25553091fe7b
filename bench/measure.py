"""One journey, measured; and what many of them say together."""

import statistics
import time
from dataclasses import dataclass

from bench.journeys import Journey, Person
from bench.sites import Site
from bench.visitor import Visitor

STEP_SECONDS = 30
MARGIN = 4  # seconds of a time step in which no journey is begun: its code would be over when it comes to it


@dataclass(frozen=True)
class Cost:
    requests: int
    queries: int
    cpu: float  # milliseconds
    wall: float  # milliseconds
    received: int  # bytes


def cost_of(site: Site, journey: Journey, person: Person, *, cold: bool = False) -> Cost:
    """Make this journey once and return what the server spent on it."""
    wait_for_a_whole_step()
    session = person.session if journey.signed_in else ""
    visitor = Visitor(site.port, session=session, htmx=journey.htmx, cold=cold)
    if journey.before:
        journey.before(site.dialect, visitor, person)
    requests, received, before = visitor.requests, visitor.received, site.cost()
    began = time.perf_counter()
    journey.run(site.dialect, visitor, person)
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


def wait_for_a_whole_step() -> None:
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < MARGIN:
        time.sleep(left)


def median(values: list[float]) -> float:
    return statistics.median(values)


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def quartiles(values: list[float]) -> tuple[float, float]:
    return percentile(values, 25), percentile(values, 75)
