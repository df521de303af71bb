"""Goal 13: what a closed repair leaves on the disk: every table of all services, with indexes and TOAST.

Repairs are followed up to their end, the services end, all is vacuumed. What is kept only for a while, such
as sent events, is all still there.
"""

from dataclasses import dataclass

from bench import aims, checks, product_tables
from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES, round_environment, run_product
from bench.report import Report
from bench.rounds import run_interleaved
from bench.sizes import count_rounds, repairs_at_once, round_seconds

SECONDS, AT_ONCE = 20.0, 64
_SHOWN_TABLES = 8


@dataclass
class DiskFigures:
    """So many closed repairs; bytes of each after a vacuum and written anew, whole and by table."""

    repairs: int
    vacuumed: float
    rewritten: float
    by_table: dict[str, float]

    def __str__(self) -> str:
        return f"{self.repairs:,} repairs, {self.vacuumed:,.0f} bytes, written anew {self.rewritten:,.0f}"


async def measure_guanjia() -> DiskFigures:
    """A round of repairs on an empty database."""
    with round_environment() as environment:
        url = environment.database_url
        with run_product(environment, *SERVICES) as running:
            before = await product_tables.measure_tables(url)
            async with DispatcherLoad(running).watch_board() as load:
                done, _ = await load.run_repairs(round_seconds(SECONDS), repairs_at_once(AT_ONCE), close=True)
                await checks.wait_until_all_written(environment, running, done, closed=True)
        await product_tables.vacuum(url)
        after = await product_tables.measure_tables(url)
        await product_tables.vacuum(url, full=True)
        rewritten = await product_tables.measure_tables(url)
    by_table = {name: (size - before[name]) / done for name, size in after.items()}
    least = sum(rewritten.values()) - sum(before.values())
    return DiskFigures(done, sum(by_table.values()), least / done, by_table)


async def measure(report: Report) -> None:
    """No peer keeps the like: the goal is absolute."""
    rounds = (await run_interleaved({"disk": measure_guanjia}, count_rounds(2)))["disk"]
    last = rounds[-1]
    largest = sorted(last.by_table.items(), key=lambda item: -item[1])[:_SHOWN_TABLES]
    report.judge(
        aims.DISK,
        f"disk of a closed repair after vacuum, of {last.repairs:,}; "
        f"all tables written anew: {last.rewritten / 1024:.1f} KB",
        [figures.vacuumed / 1024 for figures in rounds],
        beside=", ".join(f"{name} {size / 1024:.1f}" for name, size in largest),
    )
