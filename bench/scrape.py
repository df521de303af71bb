"""Goal 7: a scrape of kpi's gauges with ten thousand cases and with a million, and what of history it reads.

A scrape shows what was counted last and reads no table; what counts, twice a second, is told beside it.
BENCH_CASES names the larger size.
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from bench.history import KPI_TABLES, fill_database, make_settings, simulate_month, write_properties
from bench.query_costs import CASES, TimedClient
from bench.report import Report
from services.kpi.queries.scorecards import load_scorecard
from shared.database.engine import Database
from shared.properties.loader import load_properties
from tests.support import servers
from tests.support.processes import Processes, ServiceProcess
from tests.support.stores import fresh_database, fresh_vhost

SIZES = tuple(max(1, round(size / 4510)) for size in (min(10_000, CASES / 10), CASES))
"""How many copies of a month, of some 451 cases at each of ten properties, the databases hold."""
ROUNDS, SCRAPES = 5, 60
_STATISTICS = """SELECT sum(seq_scan)::bigint AS scans,
                  sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows
           FROM pg_stat_user_tables WHERE schemaname = 'kpi' AND relname IN ('items', 'facts', 'cases')"""


class ScrapeSubject:
    """A database of one size and kpi on it."""

    def __init__(self, folder: Path, url: str, amqp_url: str, cases: int) -> None:
        self.folder, self.url, self.cases = folder, url, cases
        self._group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        self.serving: ServiceProcess = self._group.start("kpi")
        self.durations: list[float] = []
        self.scans = self.read = 0

    def scrape(self) -> None:
        """One round of scrapes."""
        client = TimedClient(self.serving.port, {})
        self.durations.append(client.median_milliseconds(["/metrics"] * SCRAPES))

    async def scrape_and_watch(self) -> None:
        """A round of scrapes; how much of history was read meanwhile, by whatever."""
        before = await self._read_statistics()
        await asyncio.to_thread(self.scrape)
        after = await self._read_statistics()
        self.scans += after["scans"] - before["scans"]
        self.read += after["rows"] - before["rows"]

    async def _read_statistics(self) -> dict[str, int]:
        await asyncio.sleep(1.2)  # statistics are told once a second
        connection = await asyncpg.connect(servers.strip_driver(self.url))
        try:
            return dict(await connection.fetchrow(_STATISTICS))
        finally:
            await connection.close()

    async def measure_counting(self) -> tuple[float, int]:
        """How long all properties take to be counted anew, in milliseconds; how many rates have a sample."""
        database, durations, rates = Database("kpi", self.url, self.folder), [], 0
        try:
            for _ in range(ROUNDS):
                started, rates = time.perf_counter(), 0
                for prop in load_properties(make_settings(self.folder, self.url).properties_dir).values():
                    async with database.snapshot() as connection:
                        scorecard = await load_scorecard(connection, prop, datetime.now(UTC))
                    rates += sum(f.met is not None for figures in scorecard.figures.values() for f in figures)
                durations.append(1000 * (time.perf_counter() - started))
        finally:
            await database.dispose()
        return statistics.median(durations), rates

    async def explain_read(self) -> Any:
        """How PostgreSQL means to read items for one property: the kinds of scans."""
        connection = await asyncpg.connect(servers.strip_driver(self.url))
        try:
            start = int((time.time() - 366 * 86400) * 1_000_000)
            query = f"""EXPLAIN SELECT family, sum(weight), sum(good) FROM kpi.items
                        WHERE property = 'tower-3' AND family IN ('bill', 'inspected', 'follow_up_repair')
                        AND counted_at >= {start} GROUP BY family"""
            lines = [row[0].strip(" ->").split("  (")[0] for row in await connection.fetch(query)]
            return ", ".join(line for line in lines if "Scan" in line)
        finally:
            await connection.close()

    def close(self) -> None:
        self._group.close()


async def measure(report: Report) -> None:
    """Fill, scrape in turn, compare."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        month = await simulate_month(folder)
        write_properties(month, folder)
        subjects = []
        for copies in SIZES:
            url = stack.enter_context(fresh_database())
            cases = await fill_database(month, folder, url, KPI_TABLES, copies)
            subjects.append(ScrapeSubject(folder, url, stack.enter_context(fresh_vhost()), cases))
            stack.callback(subjects[-1].close)
        for _ in range(ROUNDS):
            for subject in subjects:
                await subject.scrape_and_watch()
        await _report_figures(report, subjects)


async def _report_figures(report: Report, subjects: list[ScrapeSubject]) -> None:
    first = statistics.median(subjects[0].durations)
    for subject in subjects:
        took, (counting_time, rates) = statistics.median(subject.durations), await subject.measure_counting()
        size = f"{subject.cases:,} cases at ten properties"
        report.row(
            7,
            f"scrape of kpi, {size}",
            f"{took:.2f} ms",
            beside=f"{took / first:.2f} x",
            aim="<= 1.2 x, <= 10 ms",
        )
        reads = f"{subject.scans} scans, {subject.read} rows fetched"
        report.row(
            7,
            f"read of history during {ROUNDS * SCRAPES} scrapes and what counted beside them",
            reads,
            aim="no scan",
        )
        report.row(
            7,
            f"counting {rates} rates anew, {size}",
            f"{counting_time:.0f} ms",
            beside=await subject.explain_read(),
        )
