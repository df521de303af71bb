"""Goal 9: everything in one process on SQLite, as `make run` starts it."""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import aims
from bench.cpu_meter import CpuMeter, resident_megabytes
from bench.dispatcher_load import STEPS, DispatcherLoad
from bench.environment import STAFFED_PROPERTY, RoundEnvironment, RunningProduct, run_product
from bench.product_tables import count_embedded_repairs
from bench.report import Report
from bench.results import NOISY
from bench.rounds import median_or_nan, run_interleaved
from bench.sizes import count_rounds, property_count, repairs_at_once, round_seconds, settling_seconds
from bench.wrk import BenchFailed
from tests.support.waiting import WaitTimedOut, eventually

SECONDS = 8.0
AT_ONCE = 64
MANY_PROPERTIES = 120


@dataclass
class EmbeddedFigures:
    """Seconds from start to ready, the first time and again; whole repairs a second; us of CPU each; MB.

    `idle`: ms of CPU a second when nothing is asked, by the number of properties.
    """

    first_start: float
    second_start: float
    rate: float
    cost: float
    client: float
    others: float
    idle_memory: float
    loaded_memory: float
    idle: dict[int, float]


async def measure_guanjia() -> EmbeddedFigures:
    """A round: started on nothing, started again, loaded; idle all by itself."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as folder:
        environment = RoundEnvironment(Path(folder), "", "")
        first_start = _measure_start(environment)
        started = time.perf_counter()
        with run_product(environment, "all") as running:
            second_start = time.perf_counter() - started
            (pids,) = running.pids.values()
            idle_memory, idle = resident_megabytes(*pids), {1: await _measure_idle(running)}
            async with DispatcherLoad(running).watch_board() as load:
                with CpuMeter({"all": pids}) as meter:
                    done, took = await load.run_repairs(round_seconds(SECONDS), repairs_at_once(AT_ONCE))
                    await _check_counts(environment.folder / "data", done)
            loaded_memory = resident_megabytes(*pids)
    per_repair = meter.per_operation(done)
    return EmbeddedFigures(
        first_start, second_start, done / took, per_repair["all"], per_repair["client"], meter.others,
        idle_memory, loaded_memory, idle | await _measure_many(),
    )  # fmt: skip


def _measure_start(environment: RoundEnvironment) -> float:
    started = time.perf_counter()
    with run_product(environment, "all"):
        return time.perf_counter() - started


def make_properties(count: int) -> Mapping[str, str]:
    """The files of so many properties alike, `tower`, `tower-1`, …, by name."""
    return {f"tower-{number}" if number else "tower": STAFFED_PROPERTY for number in range(count)}


async def _measure_many() -> dict[int, float]:
    """The same of a process with many properties."""
    count = property_count(MANY_PROPERTIES)
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as folder:
        environment = RoundEnvironment(Path(folder), "", "")
        with run_product(environment, "all", properties=make_properties(count)) as running:
            return {count: await _measure_idle(running)}


async def _measure_idle(running: RunningProduct) -> float:
    """Milliseconds of CPU a second of a process that nobody asks for anything."""
    await asyncio.sleep(settling_seconds())
    with CpuMeter(running.pids) as meter:
        await asyncio.sleep(round_seconds(10.0))
    return 1000 * meter.cpu["all"] / meter.wall


async def _check_counts(folder: Path, repairs: int) -> None:
    """Every repair is through, with every step once. BenchFailed where not."""

    async def count_rows() -> tuple[int, int, int]:
        return count_embedded_repairs(folder)

    expected = (repairs, repairs * (STEPS + 1), repairs)
    try:
        await eventually(count_rows, lambda counts: counts == expected, within=60, every=0.1)
    except WaitTimedOut as timeout:
        raise BenchFailed(f"{expected} cases, steps, follow-ups expected: {timeout}") from timeout


async def measure(report: Report) -> None:
    """No peer runs so: the goals are absolute."""
    rounds = (await run_interleaved({"embedded": measure_guanjia}, count_rounds(2)))["embedded"]
    calm = [figures for figures in rounds if figures.others < NOISY] or rounds
    cost, client = (median_or_nan([getattr(each, name) for each in calm]) for name in ("cost", "client"))
    report.judge(
        aims.EMBEDDED_RATE,
        f"embedded, whole repairs, {repairs_at_once(AT_ONCE)} at once; others used "
        f"{max(each.others for each in calm):.2f} cores",
        [each.rate for each in calm],
        cpu=f"{cost / 1000:.1f} ms; client {client:,.0f} us",
    )
    starts = [start for each in rounds for start in (each.first_start, each.second_start)]
    report.judge(aims.EMBEDDED_START, "embedded, start to ready, on nothing and again", starts)
    ready = median_or_nan([each.idle_memory for each in rounds])
    memory = [each.loaded_memory for each in rounds]
    report.judge(aims.EMBEDDED_MEMORY, f"embedded, memory loaded; ready {ready:.0f} MB", memory)
    for count in rounds[0].idle:
        what = f"embedded, CPU when idle, properties: {count}"
        report.judge(aims.EMBEDDED_IDLE, what, [each.idle[count] for each in rounds])
