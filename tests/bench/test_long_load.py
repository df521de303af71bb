"""Goals 10 and 11: over a while, and over two copies, nothing grows or is done that should not."""

from bench import aims
from tests.bench.conftest import Run, figure_of


async def test_over_a_while_only_history_grows(run: Run) -> None:
    rows = await run(
        "soak",
        *(aims.SOAK_MEMORY, aims.SOAK_MEMORY_SLOPE, aims.SOAK_HANDLES_SLOPE, aims.SOAK_TABLES),
    )
    assert figure_of(rows, "grow with nothing left open") == "0.00 tables"
    assert "32 repairs and 80 facts" in " ".join(row.what for row in rows)


async def test_two_copies_share_the_work_and_send_nothing_twice(run: Run) -> None:
    rows = await run("copies", aims.COPIES_LEAST_SHARE, aims.COPIES_CPU, aims.COPIES_TWICE)
    assert figure_of(rows, "public events that came twice") == "0.00 sent twice"
    shares = {row.what.partition(":")[0]: row.beside for row in rows if "did less" in row.what}
    assert {name.partition(",")[0] for name in shares} == {"intake", "dispatch", "survey", "kpi"}
    assert sum(int(count) for count in shares["dispatch, timers"].split(" and ")) == 40 * 4
