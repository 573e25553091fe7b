"""The journeys of the bench still work on this site, and its tables are Markdown."""

import pytest

from bench import __main__ as bench
from bench.journeys import JOURNEYS
from bench.measure import percentile
from bench.sites import OURS, Configuration
from bench.table import Table


def test_every_journey_runs_and_counts_queries_and_requests(tmp_path):
    table = bench.journeys(Configuration("sqlite", True, (OURS,), tmp_path), rounds=1)
    titles, requests, queries = zip(*(line[:3] for line in table.lines), strict=True)
    assert titles == tuple(journey.title for journey in JOURNEYS)
    assert all(int(number) > 0 for number in (*requests, *queries))


@pytest.mark.parametrize("percent, value", [(25, 1), (50, 2), (75, 3), (95, 4), (100, 4)])
def test_percentile_uses_the_nearest_rank(percent, value):
    assert percentile([4, 1, 3, 2], percent) == value


def test_a_table_is_markdown():
    table = Table("Sizes", ("what", "KB"))
    table.add("page", "4.5")
    assert str(table) == "**Sizes**\n\n| what | KB  |\n| ---- | --- |\n| page | 4.5 |"


def test_a_part_replaces_only_the_text_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench: load -->\nold\n<!-- end of bench: load -->\nafter\n")
    bench.put_into(page, "load", "new")
    assert page.read_text() == "before\n<!-- bench: load -->\n\nnew\n\n<!-- end of bench: load -->\nafter\n"
    with pytest.raises(ValueError, match="no marks for growth"):
        bench.put_into(page, "growth", "new")
