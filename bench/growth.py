"""Goal 6: what a demand, a transition, a page, a due timer cost with ten thousand cases and with a million.

Real services on RabbitMQ and on a PostgreSQL database for each size, asked in turn, round after round.
BENCH_CASES names the largest size.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench.cpu_meter import cpu_seconds
from bench.history import DISPATCH, INTAKE, fill, live_month, settings_for, write_properties
from bench.query_costs import CASES, Asking, posted, server_of, signed_in
from bench.report import Report
from guanjia.process import Process
from guanjia.simulation.virtual_process import VirtualProcess
from services.dispatch.app import Dispatch
from shared.clock import ManualClock
from tests.support import servers
from tests.support.processes import KEY, Processes, Serving
from tests.support.stores import fresh_database, fresh_vhost
from tests.support.waiting import eventually

SIZES = tuple(dict.fromkeys(max(1, round(size / 4510)) for size in (CASES / 100, CASES / 10, CASES)))
"""How many copies of a month, of some 451 cases at each of ten properties, the databases hold."""
ROUNDS, MANY, AT_ONCE = 3, 300, 8
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("accept", {}), ("depart", {}), ("arrive", {}), ("complete", {}),
)  # fmt: skip
KEYED = {"Authorization": f"Bearer {KEY}"}


class Place:
    """A database of one size and the services on it."""

    def __init__(self, folder: Path, url: str, amqp_url: str) -> None:
        self.folder, self.url = folder, url
        self._group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        self.figures: dict[str, list[float]] = defaultdict(list)
        self.count = 0

    async def visit(self) -> None:
        """One round: start both services, ask, end them; then let timers come due."""
        intake, dispatch = self._group.make("intake"), self._group.make("dispatch")
        for serving in (intake, dispatch):
            serving.launch()
        for serving in (intake, dispatch):
            await asyncio.to_thread(serving.wait_ready)
        self._connection = await asyncpg.connect(servers.plain(self.url))
        try:
            await self._work(intake, dispatch)
            await asyncio.to_thread(self._read, dispatch, await self._old_cases())
            await self._raised(intake, 100)
        finally:
            await self._connection.close()
            for serving in (intake, dispatch):
                await asyncio.to_thread(serving.stop)
        await self._come_due()

    async def _work(self, intake: Serving, dispatch: Serving) -> None:
        await self._stepped(dispatch, await self._raised(intake, 40))  # warm
        watched = [process.child.pid for process in (intake, dispatch) if process.child]
        before = await self._cpu(watched)
        cases = await self._raised(intake, MANY)
        between = await self._cpu(watched)
        began = time.perf_counter()
        await self._stepped(dispatch, cases)
        took, after = time.perf_counter() - began, await self._cpu(watched)
        self.figures["accept, us of CPU"].append(1e6 * (between - before) / MANY)
        self.figures["transition, us of CPU"].append(1e6 * (after - between) / MANY / len(STEPS))
        self.figures["transition, ms with eight at once"].append(1000 * took * AT_ONCE / MANY / len(STEPS))

    async def _cpu(self, watched: Sequence[int]) -> float:
        await asyncio.sleep(0.3)  # what follows from it is done too
        return cpu_seconds(await server_of(self._connection), *watched)

    async def _raised(self, intake: Serving, count: int) -> list[tuple[str, str]]:
        """Post demands and wait until all are opened and given to somebody; (case, engineer)."""
        first, self.count = self.count, self.count + count
        mark = f"bench-{os.getpid()}-{first}"
        requests = [("/v1/demands", _demand(mark, number)) for number in range(count)]
        await posted(intake.port, requests, AT_ONCE)
        query = """SELECT id, assignee FROM dispatch.cases
                   WHERE is_open AND assignee IS NOT NULL AND reference = $1"""

        async def opened() -> list[Any]:
            return list(await self._connection.fetch(query, mark))

        found = await eventually(opened, lambda rows: len(rows) == count, within=60, every=0.05)
        return [(row["id"], row["assignee"]) for row in found]

    async def _stepped(self, dispatch: Serving, cases: Sequence[tuple[str, str]]) -> None:
        for action, data in STEPS:
            told = [(case, {"action": action, "actor": engineer, "data": data}) for case, engineer in cases]
            requests = [(f"/v1/cases/{case}/actions", json.dumps(body).encode()) for case, body in told]
            await posted(dispatch.port, requests, AT_ONCE)

    async def _old_cases(self) -> list[str]:
        query = "SELECT case_id FROM dispatch.case_history TABLESAMPLE SYSTEM_ROWS (40)"
        await self._connection.execute("CREATE EXTENSION IF NOT EXISTS tsm_system_rows")
        return [row["case_id"] for row in await self._connection.fetch(query)]

    def _read(self, dispatch: Serving, cases: Sequence[str]) -> None:
        page = Asking(dispatch.port, signed_in(dispatch.port, KEY))
        asking = Asking(dispatch.port, KEYED)
        boards = [f"/board/cases?property=tower-{n % 10}" for n in range(60)]
        for name, asked, paths in (
            ("board page, ms", page, boards),
            (
                "board page by API, ms",
                asking,
                [f"/v1/cases?property=tower-{n % 10}&open=true" for n in range(60)],
            ),
            ("a case's page, ms", page, [f"/cases/{case}" for case in cases]),
            ("a case's page by API, ms", asking, [f"/v1/cases/{case}" for case in cases]),
        ):
            asked.milliseconds(paths[:10])
            self.figures[name].append(asked.milliseconds(paths))

    async def _come_due(self) -> None:
        """Look for due timers where none is due, then where the leases of a hundred cases lapse."""
        clock = ManualClock(datetime.now(UTC))
        process = Process(["dispatch"], settings_for(self.folder, self.url), clock)
        async with VirtualProcess(process, clock):
            (service,) = process.services
            if not isinstance(service, Dispatch):
                raise TypeError
            await service.timer_watch.check_due_cases()
            began = time.perf_counter()
            for _ in range(100):
                await service.timer_watch.check_due_cases()
            self.figures["look, none due, ms"].append(10 * (time.perf_counter() - began))
            clock.advance(timedelta(minutes=15))
            began, looked = time.perf_counter(), await service.timer_watch.check_due_cases()
            self.figures["due timer, ms"].append(1000 * (time.perf_counter() - began) / looked)


def _demand(mark: str, number: int) -> bytes:
    told = {"property": f"tower-{number % 10}", "kind": "repair", "summary": f"厨房水龙头漏水 {number}",
            "subject": "water_supply", "priority": "normal", "reference": mark,
            "location": {"floor": 12, "unit": "1203"}}  # fmt: skip
    return json.dumps(told).encode()


async def measure(report: Report) -> None:
    """Fill, ask, compare."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as place, ExitStack() as stack:
        folder = Path(place)
        month = await live_month(folder)
        write_properties(month, folder)
        places: list[tuple[int, Place]] = []
        for copies in SIZES:
            url, began = stack.enter_context(fresh_database()), time.monotonic()
            cases = await fill(month, folder, url, (*DISPATCH, *INTAKE), copies)
            report.row(6, f"filling a database with {cases:,} cases", f"{time.monotonic() - began:.0f} s")
            places.append((cases, Place(folder, url, stack.enter_context(fresh_vhost()))))
        for _ in range(ROUNDS):
            for _, one in places:
                await one.visit()
        _tell(report, places)


def _tell(report: Report, places: Sequence[tuple[int, Place]]) -> None:
    least = places[0][1]
    for name in least.figures:
        first = statistics.median(least.figures[name])
        aim = "< 2 x, < 5 ms" if "page" in name or "due" in name else "<= 1.25 x"
        for cases, one in places:
            figure = statistics.median(one.figures[name])
            beside = f"{figure / first:.2f} x"
            report.row(6, f"{name}, {cases:,} cases", f"{figure:.2f}", beside=beside, aim=aim)
