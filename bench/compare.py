"""Part `journeys`: what each journey costs on this site and with allauth.mfa."""

from contextlib import ExitStack

from bench.journeys import JOURNEYS, BenchUser, Journey
from bench.measure import Cost, cost_of, median, percentile, quartiles
from bench.sites import Configuration, Site
from bench.table import Table

WARM_UP = 2  # rounds that are not counted; the first starts with an empty browser cache
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
    "middle half",
)
Costs = dict[tuple[str, str], list[Cost]]


def journeys(configuration: Configuration, *, rounds: int) -> Table:
    """Measure every journey on each site, in turns."""
    with ExitStack() as ends:
        sites = ends.enter_context(configuration.sites())
        for site in sites:
            ends.enter_context(site.served(measured=True))
        costs = in_turns(sites, rounds)
    table = Table(f"{configuration}: {' / '.join(site.dialect.name for site in sites)}", COLUMNS)
    for journey in JOURNEYS:
        table.add(*cells(journey, [costs[site.dialect.name, journey.title] for site in sites]))
    return table


def in_turns(sites: list[Site], rounds: int) -> Costs:
    """Measure each journey on each site in each round. The site that is measured first changes with each round."""
    costs: Costs = {}
    users = [assign_users(site, rounds + WARM_UP) for site in sites]
    for turn in range(rounds + WARM_UP):
        for journey in JOURNEYS:
            order = list(zip(sites, users, strict=True))
            for site, users_of_site in order if turn % 2 else reversed(order):
                cost = cost_of(site, journey, users_of_site[journey.title, turn], cold=turn == 0)
                costs.setdefault((site.dialect.name, journey.title), []).append(cost)
    return costs


def assign_users(site: Site, rounds: int) -> dict[tuple[str, int], BenchUser]:
    """Create a user for each journey of each round, so that no code is used twice and no limit is reached."""
    roles = [(journey, turn) for journey in JOURNEYS for turn in range(rounds)]
    on = iter(site.create_users(on=sum(journey.has_2fa for journey, _ in roles)))
    off = iter(site.create_users(off=sum(not journey.has_2fa for journey, _ in roles)))
    return {(journey.title, turn): next(on if journey.has_2fa else off) for journey, turn in roles}


def cells(journey: Journey, costs: list[list[Cost]]) -> list[str]:
    """Return a line of the table: `ours / theirs`, and the ratio within each round."""
    cold = [runs[0].received for runs in costs]
    counted = [runs[WARM_UP:] for runs in costs]
    line = [
        journey.title,
        side_by_side(counted, "requests", "{:.0f}"),
        side_by_side(counted, "queries", "{:.0f}"),
        side_by_side(counted, "cpu", "{:.1f}"),
        side_by_side(counted, "cpu", "{:.1f}", percent=95),
        side_by_side(counted, "wall", "{:.1f}"),
        side_by_side(counted, "wall", "{:.1f}", percent=95),
        " / ".join(f"{bytes_ / 1024:.1f}" for bytes_ in cold),
        " / ".join(f"{median([run.received for run in runs]) / 1024:.1f}" for runs in counted),
    ]
    if len(counted) == 1:
        return [*line, "", ""]
    ratios = [ours.cpu / theirs.cpu for ours, theirs in zip(*counted, strict=True)]
    low, high = quartiles(ratios)
    return [*line, f"{median(ratios):.2f}", f"{low:.2f} to {high:.2f}"]


def side_by_side(counted: list[list[Cost]], name: str, form: str, percent: int = 50) -> str:
    values = [[getattr(run, name) for run in runs] for runs in counted]
    return " / ".join(form.format(median(some) if percent == 50 else percentile(some, percent)) for some in values)
