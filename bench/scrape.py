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

from bench.history import KPI, fill, live_month, settings_for, write_properties
from bench.query_costs import CASES, Asking
from bench.report import Report
from services.kpi.queries.scorecards import load_scorecard
from shared.database.engine import Database
from shared.properties.loader import load_properties
from tests.support import servers
from tests.support.processes import Processes, Serving
from tests.support.stores import fresh_database, fresh_vhost

SIZES = tuple(max(1, round(size / 4510)) for size in (min(10_000, CASES / 10), CASES))
"""How many copies of a month, of some 451 cases at each of ten properties, the databases hold."""
ROUNDS, SCRAPES = 5, 60
_READ = """SELECT sum(seq_scan)::bigint AS scans,
                  sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows
           FROM pg_stat_user_tables WHERE schemaname = 'kpi' AND relname IN ('items', 'facts', 'cases')"""


class Place:
    """A database of one size and kpi on it."""

    def __init__(self, folder: Path, url: str, amqp_url: str, cases: int) -> None:
        self.folder, self.url, self.cases = folder, url, cases
        self._group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        self.serving: Serving = self._group.start("kpi")
        self.took: list[float] = []
        self.scans = self.read = 0

    def scrape(self) -> None:
        """One round of scrapes."""
        asking = Asking(self.serving.port, {})
        self.took.append(asking.milliseconds(["/metrics"] * SCRAPES))

    async def watched(self) -> None:
        """A round of scrapes; how much of history was read meanwhile, by whatever."""
        before = await self._seen()
        await asyncio.to_thread(self.scrape)
        after = await self._seen()
        self.scans += after["scans"] - before["scans"]
        self.read += after["rows"] - before["rows"]

    async def _seen(self) -> dict[str, int]:
        await asyncio.sleep(1.2)  # statistics are told once a second
        connection = await asyncpg.connect(servers.plain(self.url))
        try:
            return dict(await connection.fetchrow(_READ))
        finally:
            await connection.close()

    async def counted(self) -> tuple[float, int]:
        """How long all properties take to be counted anew, in milliseconds; how many rates have a sample."""
        database, took, rates = Database("kpi", self.url, self.folder), [], 0
        try:
            for _ in range(ROUNDS):
                began, rates = time.perf_counter(), 0
                for prop in load_properties(settings_for(self.folder, self.url).properties_dir).values():
                    async with database.snapshot() as connection:
                        board = await load_scorecard(connection, prop, datetime.now(UTC))
                    rates += sum(f.met is not None for told in board.figures.values() for f in told)
                took.append(1000 * (time.perf_counter() - began))
        finally:
            await database.dispose()
        return statistics.median(took), rates

    async def plan(self) -> Any:
        """How PostgreSQL means to read items for one property: the kinds of scans."""
        connection = await asyncpg.connect(servers.plain(self.url))
        try:
            start = int((time.time() - 366 * 86400) * 1_000_000)
            query = f"""EXPLAIN SELECT family, sum(weight), sum(good) FROM kpi.items
                        WHERE property = 'tower-3' AND family IN ('bill', 'inspected', 'follow_up_repair')
                        AND counted_at >= {start} GROUP BY family"""
            told = [row[0].strip(" ->").split("  (")[0] for row in await connection.fetch(query)]
            return ", ".join(line for line in told if "Scan" in line)
        finally:
            await connection.close()

    def close(self) -> None:
        self._group.close()


async def measure(report: Report) -> None:
    """Fill, scrape in turn, compare."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as place, ExitStack() as stack:
        folder = Path(place)
        month = await live_month(folder)
        write_properties(month, folder)
        places = []
        for copies in SIZES:
            url = stack.enter_context(fresh_database())
            cases = await fill(month, folder, url, KPI, copies)
            places.append(Place(folder, url, stack.enter_context(fresh_vhost()), cases))
            stack.callback(places[-1].close)
        for _ in range(ROUNDS):
            for one in places:
                await one.watched()
        await _tell(report, places)


async def _tell(report: Report, places: list[Place]) -> None:
    first = statistics.median(places[0].took)
    for one in places:
        took, (counting, rates) = statistics.median(one.took), await one.counted()
        what = f"{one.cases:,} cases at ten properties"
        report.row(7, f"scrape of kpi, {what}", f"{took:.2f} ms", beside=f"{took / first:.2f} x",
                   aim="<= 1.2 x, <= 10 ms")  # fmt: skip
        seen = f"{one.scans} scans, {one.read} rows fetched"
        report.row(7, f"read of history during {ROUNDS * SCRAPES} scrapes and what counted beside them", seen,
                   aim="no scan")  # fmt: skip
        report.row(7, f"counting {rates} rates anew, {what}", f"{counting:.0f} ms", beside=await one.plan())
