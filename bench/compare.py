"""Part `journeys`: what each costs here and with allauth.mfa, in turns on the same machine."""

from contextlib import ExitStack

from bench.journeys import JOURNEYS, Journey, Person
from bench.measure import Cost, cost_of, median, percentile, quartiles
from bench.sites import Site, Stand
from bench.table import Table

WARM_UP = 2  # rounds that are not counted; the first is made with an empty browser cache
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


def journeys(stand: Stand, *, rounds: int) -> Table:
    """Measure every journey on each site, in turns."""
    with ExitStack() as ends:
        sites = ends.enter_context(stand.sites())
        for site in sites:
            ends.enter_context(site.served(measured=True))
        costs = in_turns(sites, rounds)
    table = Table(f"{stand}: {' / '.join(site.dialect.name for site in sites)}", COLUMNS)
    for journey in JOURNEYS:
        table.add(*cells(journey, [costs[site.dialect.name, journey.title] for site in sites]))
    return table


def in_turns(sites: list[Site], rounds: int) -> Costs:
    """Each journey on each site, then again; who comes first changes from round to round."""
    costs: Costs = {}
    people = [casts(site, rounds + WARM_UP) for site in sites]
    for turn in range(rounds + WARM_UP):
        for journey in JOURNEYS:
            order = list(zip(sites, people, strict=True))
            for site, cast in order if turn % 2 else reversed(order):
                cost = cost_of(site, journey, cast[journey.title, turn], cold=turn == 0)
                costs.setdefault((site.dialect.name, journey.title), []).append(cost)
    return costs


def casts(site: Site, rounds: int) -> dict[tuple[str, int], Person]:
    """Somebody new for each journey of each round: no code works twice, and no limit is met."""
    roles = [(journey, turn) for journey in JOURNEYS for turn in range(rounds)]
    on = iter(site.people(on=sum(journey.has_2fa for journey, _ in roles)))
    off = iter(site.people(off=sum(not journey.has_2fa for journey, _ in roles)))
    return {(journey.title, turn): next(on if journey.has_2fa else off) for journey, turn in roles}


def cells(journey: Journey, costs: list[list[Cost]]) -> list[str]:
    """A line of the table: `ours / theirs`, and the ratio of what was measured in the same round."""
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
