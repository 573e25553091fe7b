"""Measure what each user journey costs, on this site and on a minimal site with allauth.mfa. Print Markdown tables.

The measurements run on temporary databases on this machine. Each journey runs alternately on both sites. All parts
take about ten minutes.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import passkeys, services
from bench.compare import journeys
from bench.growth import growth
from bench.lighthouse import lighthouse
from bench.load import load
from bench.sites import OURS, PEERS, Configuration
from bench.table import Table

STORES = ("sqlite", "postgresql")
HASHERS = ("fast", "shipped")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 dev.py bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument(
        "--rounds",
        type=int,
        default=15,
        help="how often each journey is measured (%(default)s); half as often with the shipped hasher",
    )
    parser.add_argument("--on", type=names_in(STORES), default=STORES, help="sqlite,postgresql")
    parser.add_argument("--hashers", type=names_in(HASHERS), default=HASHERS, help="fast,shipped")
    parser.add_argument("--clients", type=numbers, default=(1, 8, 32), help="load: parallel clients (1,8,32)")
    parser.add_argument("--seconds", type=float, default=5, help="load: seconds per run (%(default)s)")
    parser.add_argument("--users", type=int, default=100_000, help="growth: number of users (%(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="growth: sessions, events and limits (%(default)s)")
    parser.add_argument("--audits", type=int, default=1, help="lighthouse: audits of each page (%(default)s)")
    parser.add_argument("--alone", action="store_true", help="measure this site only")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="write the tables into FILE, between its marks for each part"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    return options


def names_in(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        if not set(given) <= set(known):
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}")
        return given

    return names


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


# --- The parts ------------------------------------------------------------------------------------


def measure_journeys(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    for configuration in configurations(options, folder):
        # With the shipped hasher a round takes longer and varies less, so half as many rounds are enough.
        yield journeys(
            configuration, rounds=options.rounds if configuration.fast_hasher else max(3, options.rounds // 2)
        )


def measure_load(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    for configuration in configurations(options, folder):
        yield from load(configuration, clients=options.clients, seconds=options.seconds)


def measure_growth(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    for configuration in configurations(options, folder):
        # Filling PostgreSQL takes minutes, so it happens only if --on differs from the default.
        if configuration.fast_hasher and (configuration.store == "sqlite" or options.on != STORES):
            yield growth(configuration, users=options.users, rows=options.rows, rounds=options.rounds)


def measure_passkeys(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    yield passkeys.assertions(rounds=options.rounds * 2)
    yield passkeys.loading(rounds=options.rounds)


def audit_pages(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    yield from lighthouse(Configuration("sqlite", False, (OURS,), folder), runs=options.audits)


PARTS = {
    "journeys": measure_journeys,
    "passkeys": measure_passkeys,
    "load": measure_load,
    "growth": measure_growth,
    "lighthouse": audit_pages,
}


def configurations(options: argparse.Namespace, folder: Path) -> Iterator[Configuration]:
    sites = (OURS,) if options.alone else (OURS, PEERS)
    for store in options.on:
        for hasher in options.hashers:
            yield Configuration(store, hasher == "fast", sites, folder)


# --- Output ---------------------------------------------------------------------------------------


def heading(arguments: list[str]) -> str:
    """Return a line with the date, the machine and the command."""
    load_average = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores{load_average},"
        f" Python {platform.python_version()}: `{' '.join(['python3 dev.py bench', *arguments])}`"
    )


def put_into(page: Path, part: str, text: str) -> None:
    """Write the text between the page's marks of this part. Raise ValueError if it has none."""
    begin, end = f"<!-- bench: {part} -->\n", f"<!-- end of bench: {part} -->"
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{page} has no marks for {part}")
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}")


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    if "postgresql" in options.on and (reason := services.why_unavailable()):
        print(f"Skipped: PostgreSQL is not available: {reason}", file=sys.stderr)
        options.on = tuple(name for name in options.on if name != "postgresql")
    for part in options.parts or PARTS:
        blocks = [heading(arguments)]
        print(f"\n{blocks[0]}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix="twofactor-bench-") as folder:
            for table in PARTS[part](options, Path(folder)):
                blocks.append(str(table))
                print(f"{table}\n", flush=True)
        if options.into:
            put_into(options.into, part, "\n\n".join(blocks))


if __name__ == "__main__":
    main(sys.argv[1:])
