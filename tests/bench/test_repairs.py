"""Goals 4, 5 and 13: whole repairs; a demand, case, step or follow-up too few or too many fails them."""

from bench import aims
from tests.bench.conftest import Run


async def test_whole_repairs_are_measured_beside_the_loop_by_hand(run: Run) -> None:
    await run("repairs", aims.REPAIRS_BESIDE["by hand"])


async def test_a_demand_is_followed_to_the_board_at_both_rates(run: Run) -> None:
    await run("latency", *aims.LATENCY.values(), aims.LATENCY_CPU)


async def test_a_closed_repair_leaves_so_much_on_the_disk(run: Run) -> None:
    rows = await run("disk", aims.DISK)
    assert "dispatch.cases" in rows[0].beside
