"""Part `journeys`: compare the cost of each journey on this site and on one with allauth.mfa."""

from collections import Counter
from contextlib import ExitStack
from statistics import median

from bench.journeys import JOURNEYS, BenchUser, Journey, journeys_of
from bench.measure import Cost, cost_of, percentile, quartiles
from bench.sites import Configuration, Site
from bench.table import Table

# Warm-up rounds. Only the column KB cold counts one: the first, which starts with an empty browser cache.
WARM_UP = 2
COLUMNS = (
    "journey",
    "requests",
    "queries",
    "CPU ms",
    "p95",
    "wall ms",
    "p95",
    "KB cold",
    "KB warm",
    "CPU ratio",
    "interquartile range",
)
Costs = dict[tuple[str, str], list[Cost]]


def journeys(configuration: Configuration, *, rounds: int) -> Table:
    """Measure every journey on each site."""
    with ExitStack() as stack:
        sites = stack.enter_context(configuration.sites())
        for site in sites:
            stack.enter_context(site.served(measured=True))
        costs = run_rounds(sites, rounds)
    table = Table(f"{configuration}: {' / '.join(site.client.name for site in sites)}", COLUMNS)
    for journey in JOURNEYS:
        runs = [costs[site.client.name, journey.title] for site in sites if journey in journeys_of(site.client)]
        table.add(*cells(journey, runs))
    return table


def run_rounds(sites: list[Site], rounds: int) -> Costs:
    """Run each journey once per round on every site. Alternate which site comes first."""
    costs: Costs = {}
    users = [assign_users(site, rounds + WARM_UP) for site in sites]
    for round_number in range(rounds + WARM_UP):
        for journey in JOURNEYS:
            order = list(zip(sites, users, strict=True))
            for site, users_of_site in order if round_number % 2 else reversed(order):
                if journey not in journeys_of(site.client):
                    continue
                cost = cost_of(site, journey, users_of_site[journey.title, round_number], cold=round_number == 0)
                costs.setdefault((site.client.name, journey.title), []).append(cost)
    return costs


def assign_users(site: Site, rounds: int) -> dict[tuple[str, int], BenchUser]:
    """Create a new user for each journey and round, because a code works once and rate limits must not apply."""
    runs = [(journey, round_number) for journey in journeys_of(site.client) for round_number in range(rounds)]
    counts = Counter(journey.account for journey, _ in runs)
    users = {account: iter(site.create_users({account: count})) for account, count in counts.items()}
    return {(journey.title, round_number): next(users[journey.account]) for journey, round_number in runs}


def cells(journey: Journey, costs: list[list[Cost]]) -> list[str]:
    """Return one table row: `ours / theirs` per column, and the CPU ratio of runs in the same round."""
    cold = [runs[0].received for runs in costs]
    counted = [runs[WARM_UP:] for runs in costs]
    line = [
        journey.title,
        side_by_side(counted, "requests", ".0f"),
        side_by_side(counted, "queries", ".0f"),
        side_by_side(counted, "cpu", ".1f"),
        side_by_side(counted, "cpu", ".1f", percent=95),
        side_by_side(counted, "wall", ".1f"),
        side_by_side(counted, "wall", ".1f", percent=95),
        " / ".join(f"{bytes_ / 1024:.1f}" for bytes_ in cold),
        " / ".join(f"{median([run.received for run in runs]) / 1024:.1f}" for runs in counted),
    ]
    if len(counted) == 1:
        return [*line, "", ""]
    ratios = [ours.cpu / theirs.cpu for ours, theirs in zip(*counted, strict=True)]
    low, high = quartiles(ratios)
    return [*line, f"{median(ratios):.2f}", f"{low:.2f} to {high:.2f}"]


def side_by_side(counted: list[list[Cost]], name: str, format_spec: str, percent: int = 50) -> str:
    """Return a percentile of this field of Cost for each site, by default the median."""
    by_site = [[getattr(run, name) for run in runs] for runs in counted]
    results = [median(values) if percent == 50 else percentile(values, percent) for values in by_site]
    return " / ".join(format(result, format_spec) for result in results)
