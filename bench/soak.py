"""Goal 10: memory, open files and tables of each service under a long steady load of everything.

Four processes on RabbitMQ and PostgreSQL. A fifth of the time warms up; then all repairs are closed and
every table is counted; after the rest again: what has grown then grows with nothing left open.
BENCH_SOAK_SECONDS is how long it lasts (an hour), BENCH_SOAK_RATE how many repairs a second it begins (10).
"""

from dataclasses import dataclass

from bench import aims, checks, product_tables
from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES, RoundEnvironment, RunningProduct, round_environment, run_product
from bench.mixed_load import MixedLoad
from bench.report import Report, format_spread
from bench.sizes import soak_rate, soak_seconds
from bench.trend import ProcessWatch, fit_slope, peak_megabytes

WARM_UP = 0.2
SAMPLES = 300
_SHORTEST_SAMPLING = 0.5


@dataclass
class TableCounts:
    """Rows and bytes of every table once so many repairs are closed and so many facts are in."""

    repairs: int
    facts: int
    rows: dict[str, int]
    sizes: dict[str, int]


async def measure(report: Report) -> None:
    """Warm up, count, load, count."""
    with round_environment() as environment, run_product(environment, *SERVICES) as running:
        watch = ProcessWatch(running.pids, max(_SHORTEST_SAMPLING, soak_seconds() / SAMPLES))
        async with DispatcherLoad(running).watch_board() as board:
            load = MixedLoad(board)
            await load.connect()
            await load.run(soak_seconds() * WARM_UP, soak_rate())
            before = await _count_tables(environment, running, load)
            async with watch.watch():
                await load.run(soak_seconds() * (1 - WARM_UP), soak_rate())
            after = await _count_tables(environment, running, load)
            load.close()
        _judge_processes(report, watch, running)
    _judge_tables(report, before, after)


async def _count_tables(
    environment: RoundEnvironment, running: RunningProduct, load: MixedLoad
) -> TableCounts:
    """Once every repair is closed and told everywhere."""
    await checks.wait_until_all_written(environment, running, load.repairs, closed=True)
    rows = await product_tables.count_rows(environment.database_url)
    sizes = await product_tables.measure_tables(environment.database_url)
    return TableCounts(load.repairs, load.facts, rows, sizes)


def _judge_processes(report: Report, watch: ProcessWatch, running: RunningProduct) -> None:
    load = f"{soak_rate():g} repairs a second for {soak_seconds() / 60:.1f} minutes"
    for name, pids in running.pids.items():
        memory, handles = watch.memory[name], watch.handles[name]
        ends = f"{memory[0][1]:.0f} MB after warm-up, {memory[-1][1]:.0f} MB at the end"
        peak = peak_megabytes(*pids)
        report.judge(aims.SOAK_MEMORY, f"{name}: most memory, {load}", [peak], beside=ends)
        report.judge(aims.SOAK_MEMORY_SLOPE, f"{name}: memory grows, {load}", fit_slope(memory))
        ends = format_spread([count for _, count in handles], "handles")
        report.judge(aims.SOAK_HANDLES_SLOPE, f"{name}: handles grow", fit_slope(handles), beside=ends)


def _judge_tables(report: Report, before: TableCounts, after: TableCounts) -> None:
    repairs, facts = after.repairs - before.repairs, after.facts - before.facts
    hours = soak_seconds() * (1 - WARM_UP) / 3600
    grown = {name: rows - before.rows[name] for name, rows in after.rows.items() if rows > before.rows[name]}
    size = sum(after.sizes.values()) - sum(before.sizes.values())
    report.row(
        10, f"all tables, {repairs:,} repairs and {facts:,} facts", f"{size / 1e6 / hours:,.0f} MB an hour"
    )
    for kept, tables in (
        ("for ever, as history", product_tables.HISTORY_TABLES),
        ("until they expire", product_tables.EXPIRING_TABLES),
    ):
        parts = [f"{name} {rows / hours:,.0f}" for name, rows in grown.items() if name in tables]
        report.row(10, f"rows an hour that are kept {kept}", ", ".join(sorted(parts)) or "none")
    others = sorted(grown.keys() - product_tables.HISTORY_TABLES - product_tables.EXPIRING_TABLES)
    what = f"tables that grow with nothing left open and are no history; {repairs:,} repairs closed"
    report.judge(aims.SOAK_TABLES, what, [len(others)], beside=", ".join(others))
