"""Part `growth`: what a journey costs with a hundred users and with a hundred thousand."""

from contextlib import ExitStack
from statistics import median

from bench.compare import WARM_UP, assign_users
from bench.journeys import journeys_of
from bench.measure import Cost, cost_of, quartiles
from bench.sites import Configuration, Site
from bench.table import Table

FEW = 100
COLUMNS = (
    "journey",
    "site",
    "CPU ms, few",
    "many",
    "CPU grows by",
    "interquartile range",
    "wall ms, few",
    "many",
    "grows by",
)


def growth(configuration: Configuration, *, users: int, rows: int, rounds: int) -> Table:
    """Measure every journey on a site with few rows and on the same site with many rows."""
    table = Table(f"{configuration}: from {FEW} users to {users:,} with {rows:,} sessions, events and limits", COLUMNS)
    for kind in configuration.kinds:
        with ExitStack() as stack:
            few, many = stack.enter_context(configuration.sites(kind, kind))
            few.rows("fill_database", users=FEW, rows=FEW)
            many.rows("fill_database", users=users, rows=rows)
            for site in (few, many):
                stack.enter_context(site.served(measured=True))
            for title, runs in run_rounds(few, many, rounds).items():
                table.add(title, kind.client.name, *cells(runs))
    return table


def run_rounds(few: Site, many: Site, rounds: int) -> dict[str, list[tuple[Cost, Cost]]]:
    """Run each journey once per round on both sites. Alternate which site comes first."""
    users = {site: assign_users(site, rounds + WARM_UP) for site in (few, many)}
    measured = journeys_of(few.client)
    costs: dict[str, list[tuple[Cost, Cost]]] = {journey.title: [] for journey in measured}
    for round_number in range(rounds + WARM_UP):
        for journey in measured:
            order = (few, many) if round_number % 2 else (many, few)
            both = {site: cost_of(site, journey, users[site][journey.title, round_number]) for site in order}
            costs[journey.title].append((both[few], both[many]))
    return {title: runs[WARM_UP:] for title, runs in costs.items()}


def cells(runs: list[tuple[Cost, Cost]]) -> list[str]:
    cpu = [many.cpu / few.cpu - 1 for few, many in runs]
    wall = [many.wall / few.wall - 1 for few, many in runs]
    low, high = quartiles(cpu)
    return [
        *(f"{median([run[at].cpu for run in runs]):.1f}" for at in (0, 1)),
        f"{median(cpu):+.0%}",
        f"{low:+.0%} to {high:+.0%}",
        *(f"{median([run[at].wall for run in runs]):.1f}" for at in (0, 1)),
        f"{median(wall):+.0%}",
    ]
