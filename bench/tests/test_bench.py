"""The journeys of the bench still work on this site, and its tables are Markdown."""

import pytest

from bench import __main__ as bench
from bench.journeys import JOURNEYS
from bench.measure import percentile
from bench.sites import OURS, Configuration


def test_every_journey_runs_and_counts_queries_and_requests(tmp_path):
    table = bench.journeys(Configuration("sqlite", True, (OURS,), tmp_path), rounds=1)
    titles, requests, queries = zip(*(line[:3] for line in table.lines), strict=True)
    assert titles == tuple(journey.title for journey in JOURNEYS)
    assert all(int(number) > 0 for number in (*requests, *queries))


def test_percentile_uses_the_nearest_rank():
    assert [percentile([4, 1, 3, 2], percent) for percent in (25, 50, 75, 95, 100)] == [1, 2, 3, 4, 4]


def test_a_part_replaces_only_the_text_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench: load -->\nold\n<!-- end of bench: load -->\nafter\n")
    bench.put_into(page, "load", "new")
    assert page.read_text() == "before\n<!-- bench: load -->\n\nnew\n\n<!-- end of bench: load -->\nafter\n"
    with pytest.raises(ValueError, match="no marks for growth"):
        bench.put_into(page, "growth", "new")
