"""Goals 9 and 12: the embedded process, and the board with those who watch it."""

from bench import aims
from tests.bench.conftest import Run, figure_of


async def test_the_embedded_process_is_started_loaded_and_left_alone(run: Run) -> None:
    rows = await run(
        "embedded",
        *(aims.EMBEDDED_RATE, aims.EMBEDDED_START, aims.EMBEDDED_MEMORY, aims.EMBEDDED_IDLE),
    )
    assert figure_of(rows, "idle, properties: 5")


async def test_every_watcher_sees_every_change_of_the_board(run: Run) -> None:
    rows = await run("board", aims.BOARD_PAINT, aims.BOARD_LATENCY, aims.BOARD_CPU)
    assert [row.what for row in rows if "5 changes at 20/s, each seen by each of 4 watchers: p99" in row.what]
