"""Goal 7: a scrape of kpi's gauges with ten thousand cases and with a million, and what of history it reads.

A scrape shows what was counted last and reads no table; what counts, twice a second, is told beside it.
BENCH_CASES names the larger size. And what many properties cost: see `many_properties`.
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

from bench import aims, many_properties
from bench.history import count_copies, fill_database, make_settings, simulate_month, write_properties
from bench.product_tables import EXPLAIN_RATES, KPI_TABLES, RATE_READS
from bench.query_costs import TimedClient
from bench.report import Report
from bench.sizes import count_rounds, history_cases, scrape_count
from services.kpi.queries.scorecards import load_scorecard
from shared.database.engine import Database
from shared.properties.loader import load_properties
from tests.support import servers
from tests.support.processes import Processes, ServiceProcess
from tests.support.stores import fresh_database, fresh_vhost

COUNTS = 3


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
        self.durations.append(client.median_milliseconds(["/metrics"] * scrape_count()))

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
            return dict(await connection.fetchrow(RATE_READS))
        finally:
            await connection.close()

    async def measure_counting(self) -> tuple[float, int]:
        """How long all properties take to be counted anew, in milliseconds; how many rates have a sample."""
        database, durations, rates = Database("kpi", self.url, self.folder), [], 0
        try:
            for _ in range(COUNTS):
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
            query = EXPLAIN_RATES.format(start=start)
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
        month = await simulate_month()
        write_properties(month, folder)
        subjects = []
        for copies in count_copies(min(10_000, history_cases() / 10), history_cases()):
            url = stack.enter_context(fresh_database())
            cases = await fill_database(month, folder, url, KPI_TABLES, copies)
            subjects.append(ScrapeSubject(folder, url, stack.enter_context(fresh_vhost()), cases))
            stack.callback(subjects[-1].close)
        for _ in range(count_rounds()):
            for subject in subjects:
                await subject.scrape_and_watch()
        await _report_figures(report, subjects)
    await many_properties.measure(report)


async def _report_figures(report: Report, subjects: list[ScrapeSubject]) -> None:
    first = statistics.median(subjects[0].durations)
    for subject in subjects:
        counting_time, rates = await subject.measure_counting()
        size = f"{subject.cases:,} cases at ten properties"
        ratio = f"{statistics.median(subject.durations) / first:.2f} x the smallest"
        report.judge(aims.SCRAPE, f"scrape of kpi, {size}", subject.durations, beside=ratio)
        report.judge(
            aims.SCRAPE_SCANS,
            f"of history during {len(subject.durations) * scrape_count()} scrapes and the counting, {size}",
            [subject.scans],
            beside=f"{subject.read} rows fetched",
        )
        explained = await subject.explain_read()
        report.row(7, f"counting {rates} rates anew, {size}", f"{counting_time:.0f} ms", beside=explained)
