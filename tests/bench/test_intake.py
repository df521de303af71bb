"""Goals 1 to 3: what was accepted is stored and published, every event once, or the program fails."""

from bench import aims
from tests.bench.conftest import Run


async def test_single_demands_are_measured_beside_the_floor(run: Run) -> None:
    rows = await run("intake", aims.INTAKE_BESIDE_FLOOR, aims.INTAKE_OUTBOX_AGE, aims.DEMAND_CPU)
    assert {row.goal for row in rows} == {1, 3}


async def test_batches_are_measured_beside_the_floor(run: Run) -> None:
    await run("batches", aims.BATCHES_BESIDE_FLOOR, aims.BATCHES_OUTBOX_AGE)
