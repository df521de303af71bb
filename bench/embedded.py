"""Goal 9: everything in one process on SQLite, as `make run` starts it: whole repairs, start, memory."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.cpu_meter import CpuMeter, resident_megabytes
from bench.dispatcher_load import LAST_STATE, STEPS, DispatcherLoad
from bench.environment import RoundEnvironment, run_product
from bench.report import Report
from bench.rounds import count_rounds, median_or_nan, round_seconds, run_interleaved
from bench.wrk import BenchFailed
from tests.support.waiting import WaitTimedOut, eventually

SECONDS = 8.0
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "64"))


@dataclass
class EmbeddedFigures:
    """Seconds from start to ready, the first time and again; whole repairs a second; us of CPU each; MB."""

    first_start: float
    second_start: float
    rate: float
    cost: float
    client: float
    others: float
    idle_memory: float
    loaded_memory: float


async def measure_guanjia() -> EmbeddedFigures:
    """A round: started on nothing, started again, loaded."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as folder:
        environment = RoundEnvironment(Path(folder), "", "")
        first_start = _measure_start(environment)
        started = time.perf_counter()
        with run_product(environment, "all") as running:
            second_start = time.perf_counter() - started
            (pids,) = running.pids.values()
            idle_memory = resident_megabytes(*pids)
            async with DispatcherLoad(running).watch_board() as load:
                with CpuMeter({"all": pids}) as meter:
                    done, took = await load.run_repairs(round_seconds(SECONDS), AT_ONCE)
                    await _check_counts(environment.folder / "data", done)
            per_repair = meter.per_operation(done)
            return EmbeddedFigures(
                first_start,
                second_start,
                done / took,
                per_repair["all"],
                per_repair["client"],
                meter.others,
                idle_memory,
                resident_megabytes(*pids),
            )


def _measure_start(environment: RoundEnvironment) -> float:
    started = time.perf_counter()
    with run_product(environment, "all"):
        return time.perf_counter() - started


async def _check_counts(folder: Path, repairs: int) -> None:
    """Every repair is through, with every step once. BenchFailed where not."""

    async def count_rows() -> tuple[int, int, int]:
        return _count_rows(folder)

    expected = (repairs, repairs * (STEPS + 1), repairs)
    try:
        await eventually(count_rows, lambda counts: counts == expected, within=60, every=0.1)
    except WaitTimedOut as timeout:
        raise BenchFailed(f"{expected} cases, steps, follow-ups expected: {timeout}") from timeout


def _count_rows(folder: Path) -> tuple[int, int, int]:
    """Repairs that are done, steps of all cases, follow-ups; from the files themselves."""
    with closing(sqlite3.connect(f"file:{folder / 'dispatch.db'}?mode=ro", uri=True)) as dispatch:
        done = dispatch.execute("SELECT count(*) FROM cases WHERE state = ?", [LAST_STATE]).fetchone()[0]
        steps = dispatch.execute("SELECT count(*) FROM case_history").fetchone()[0]
    with closing(sqlite3.connect(f"file:{folder / 'survey.db'}?mode=ro", uri=True)) as survey:
        return done, steps, survey.execute("SELECT count(*) FROM followups").fetchone()[0]


async def measure(report: Report) -> None:
    """No peer runs so: the goals are absolute."""
    figures = (await run_interleaved({"embedded": measure_guanjia}, min(2, count_rounds())))["embedded"]

    def median_of(name: str) -> float:
        return median_or_nan([getattr(per_repair, name) for per_repair in figures])

    report.row(
        9,
        f"embedded, whole repairs, {AT_ONCE} at once; others used {median_of('others'):.2f} cores",
        f"{median_of('rate'):,.0f}/s",
        cpu=f"{median_of('cost') / 1000:.1f} ms; client {median_of('client'):,.0f} us",
        aim="150/s",
    )
    report.row(
        9,
        "embedded, start to ready, on nothing and again",
        f"{median_of('first_start'):.1f}, {median_of('second_start'):.1f} s",
        aim="3 s",
    )
    report.row(
        9,
        "embedded, memory ready and loaded",
        f"{median_of('idle_memory'):.0f}, {median_of('loaded_memory'):.0f} MB",
        aim="150 MB",
    )
