"""Part `growth`: what a journey costs with a hundred users, and with a hundred thousand."""

from contextlib import ExitStack

from bench.compare import WARM_UP, assign_users
from bench.journeys import JOURNEYS
from bench.measure import Cost, cost_of, median, quartiles
from bench.sites import Configuration, Site
from bench.table import Table

FEW = 100
COLUMNS = ("journey", "site", "CPU ms, few", "many", "CPU grows by", "middle half", "wall ms, few", "many", "grows by")


def growth(configuration: Configuration, *, users: int, rows: int, rounds: int) -> Table:
    """Measure every journey on a small and on a large copy of the same site, in turns."""
    table = Table(f"{configuration}: from {FEW} users to {users:,} with {rows:,} sessions and events", COLUMNS)
    for kind in configuration.kinds:
        with ExitStack() as ends:
            few, many = ends.enter_context(configuration.sites(kind, kind))
            few.rows("fill", users=FEW, rows=FEW)
            many.rows("fill", users=users, rows=rows)
            for site in (few, many):
                ends.enter_context(site.served(measured=True))
            for title, runs in in_turns(few, many, rounds).items():
                table.add(title, kind.dialect.name, *cells(runs))
    return table


def in_turns(few: Site, many: Site, rounds: int) -> dict[str, list[tuple[Cost, Cost]]]:
    users = {site: assign_users(site, rounds + WARM_UP) for site in (few, many)}
    costs: dict[str, list[tuple[Cost, Cost]]] = {journey.title: [] for journey in JOURNEYS}
    for turn in range(rounds + WARM_UP):
        for journey in JOURNEYS:
            order = (few, many) if turn % 2 else (many, few)
            both = {site: cost_of(site, journey, users[site][journey.title, turn]) for site in order}
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
