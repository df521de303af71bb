"""Goal 9: everything in one process on SQLite, as `make run` starts it: whole repairs, start, memory."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.cpu_meter import Meter, megabytes
from bench.dispatcher_load import LAST, STEPS, Office
from bench.environment import Plot, product
from bench.report import Report
from bench.rounds import interleaved, middle, rounds, seconds
from bench.wrk import BenchFailed
from tests.support.waiting import NeverHappened, eventually

SECONDS = 8.0
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "64"))


@dataclass
class Found:
    """Seconds from start to ready, the first time and again; whole repairs a second; us of CPU each; MB."""

    first: float
    again: float
    rate: float
    cost: float
    client: float
    others: float
    idle: float
    after: float


async def ours() -> Found:
    """A round: started on nothing, started again, loaded."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as place:
        ground = Plot(Path(place), "", "")
        first = _seconds_to_ready(ground)
        started = time.perf_counter()
        with product(ground, "all") as running:
            again = time.perf_counter() - started
            (pids,) = running.pids.values()
            idle = megabytes(*pids)
            async with Office(running).at_work() as office:
                with Meter({"all": pids}) as meter:
                    done, took = await office.repairs(seconds(SECONDS), AT_ONCE)
                    await _check(ground.folder / "data", done)
            each = meter.each(done)
            return Found(
                first, again, done / took, each["all"], each["client"], meter.others, idle, megabytes(*pids)
            )


def _seconds_to_ready(ground: Plot) -> float:
    started = time.perf_counter()
    with product(ground, "all"):
        return time.perf_counter() - started


async def _check(folder: Path, repairs: int) -> None:
    """Every repair is through, with every step once. BenchFailed where not."""

    async def written() -> tuple[int, int, int]:
        return _counts(folder)

    expected = (repairs, repairs * (STEPS + 1), repairs)
    try:
        await eventually(written, lambda found: found == expected, within=60, every=0.1)
    except NeverHappened as never:
        raise BenchFailed(f"{expected} cases, steps, follow-ups expected: {never}") from never


def _counts(folder: Path) -> tuple[int, int, int]:
    """Repairs that are done, steps of all cases, follow-ups; from the files themselves."""
    with closing(sqlite3.connect(f"file:{folder / 'dispatch.db'}?mode=ro", uri=True)) as dispatch:
        done = dispatch.execute("SELECT count(*) FROM cases WHERE state = ?", [LAST]).fetchone()[0]
        steps = dispatch.execute("SELECT count(*) FROM case_history").fetchone()[0]
    with closing(sqlite3.connect(f"file:{folder / 'survey.db'}?mode=ro", uri=True)) as survey:
        return done, steps, survey.execute("SELECT count(*) FROM followups").fetchone()[0]


async def measure(report: Report) -> None:
    """No peer runs so: the goals are absolute."""
    found = (await interleaved({"embedded": ours}, min(2, rounds())))["embedded"]

    def of(name: str) -> float:
        return middle([getattr(each, name) for each in found])

    report.row(
        9, f"embedded, whole repairs, {AT_ONCE} at once; others used {of('others'):.2f} cores",
        f"{of('rate'):,.0f}/s", cpu=f"{of('cost') / 1000:.1f} ms; client {of('client'):,.0f} us", aim="150/s",
    )  # fmt: skip
    report.row(
        9,
        "embedded, start to ready, on nothing and again",
        f"{of('first'):.1f}, {of('again'):.1f} s",
        aim="3 s",
    )
    report.row(
        9, "embedded, memory ready and loaded", f"{of('idle'):.0f}, {of('after'):.0f} MB", aim="150 MB"
    )
