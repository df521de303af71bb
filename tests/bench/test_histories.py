"""Goals 6 to 8: a copied history, and what is asked of it."""

from bench import aims
from tests.bench.conftest import Run, figure_of


async def test_writes_pages_timers_and_searches_are_measured_on_a_history(run: Run) -> None:
    rows = await run("growth", aims.GROWTH, aims.PAGE, aims.DUE_TIMER, aims.SEARCH)
    searches = {row.what.partition(",")[0] for row in rows if row.what.startswith("search")}
    assert searches == {"search by number", "search by unit", "search by words"}


async def test_a_scrape_reads_no_history_and_facts_show(run: Run) -> None:
    rows = await run("scrape", aims.SCRAPE, aims.SCRAPE_SCANS, aims.IDLE_BESIDE_ONE, aims.FACT_SHOWN)
    assert {row.figure.partition(" ")[0] for row in rows if "of history" in row.what} == {"0.00"}


async def test_a_rebuild_makes_the_same_items_and_serves_the_old_figures(run: Run) -> None:
    rows = await run("rebuild", aims.REBUILD, aims.REBUILD_SERVES)
    assert figure_of(rows, "meanwhile, all right") == "0.00 other answers"
