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
from bench.history import (
    DISPATCH_TABLES,
    INTAKE_TABLES,
    fill_database,
    make_settings,
    simulate_month,
    write_properties,
)
from bench.query_costs import CASES, TimedClient, get_server_pid, post_all, sign_in
from bench.report import Report
from guanjia.process import Process
from guanjia.simulation.virtual_process import VirtualProcess
from services.dispatch.app import Dispatch
from shared.clock import ManualClock
from tests.support import servers
from tests.support.processes import KEY, Processes, ServiceProcess
from tests.support.stores import fresh_database, fresh_vhost
from tests.support.waiting import eventually

SIZES = tuple(dict.fromkeys(max(1, round(size / 4510)) for size in (CASES / 100, CASES / 10, CASES)))
"""How many copies of a month, of some 451 cases at each of ten properties, the databases hold."""
ROUNDS, DEMANDS_PER_ROUND, AT_ONCE = 3, 300, 8
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("accept", {}), ("depart", {}), ("arrive", {}), ("complete", {}),
)  # fmt: skip
ADMIN_HEADERS = {"Authorization": f"Bearer {KEY}"}


class GrowthSubject:
    """A database of one size and the services on it."""

    def __init__(self, folder: Path, url: str, amqp_url: str) -> None:
        self.folder, self.url = folder, url
        self._group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        self.figures: dict[str, list[float]] = defaultdict(list)
        self.raised_count = 0

    async def measure_round(self) -> None:
        """One round: start both services, ask, end them; then let timers come due."""
        intake, dispatch = self._group.make("intake"), self._group.make("dispatch")
        for serving in (intake, dispatch):
            serving.launch()
        for serving in (intake, dispatch):
            await asyncio.to_thread(serving.wait_ready)
        self._connection = await asyncpg.connect(servers.strip_driver(self.url))
        try:
            await self._measure_writes(intake, dispatch)
            await asyncio.to_thread(self._measure_pages, dispatch, await self._sample_cases())
            await self._raise_demands(intake, 100)
        finally:
            await self._connection.close()
            for serving in (intake, dispatch):
                await asyncio.to_thread(serving.stop)
        await self._measure_timers()

    async def _measure_writes(self, intake: ServiceProcess, dispatch: ServiceProcess) -> None:
        await self._take_steps(dispatch, await self._raise_demands(intake, 40))  # warm
        pids = [process.child.pid for process in (intake, dispatch) if process.child]
        before = await self._read_cpu(pids)
        cases = await self._raise_demands(intake, DEMANDS_PER_ROUND)
        between = await self._read_cpu(pids)
        started = time.perf_counter()
        await self._take_steps(dispatch, cases)
        took, after = time.perf_counter() - started, await self._read_cpu(pids)
        self.figures["accept, us of CPU"].append(1e6 * (between - before) / DEMANDS_PER_ROUND)
        self.figures["transition, us of CPU"].append(1e6 * (after - between) / DEMANDS_PER_ROUND / len(STEPS))
        self.figures["transition, ms with eight at once"].append(
            1000 * took * AT_ONCE / DEMANDS_PER_ROUND / len(STEPS)
        )

    async def _read_cpu(self, pids: Sequence[int]) -> float:
        await asyncio.sleep(0.3)  # what follows from it is done too
        return cpu_seconds(await get_server_pid(self._connection), *pids)

    async def _raise_demands(self, intake: ServiceProcess, count: int) -> list[tuple[str, str]]:
        """Post demands and wait until all are opened and given to somebody; (case, engineer)."""
        first, self.raised_count = self.raised_count, self.raised_count + count
        reference = f"bench-{os.getpid()}-{first}"
        requests = [("/v1/demands", _demand_body(reference, number)) for number in range(count)]
        await post_all(intake.port, requests, AT_ONCE)
        query = """SELECT id, assignee FROM dispatch.cases
                   WHERE is_open AND assignee IS NOT NULL AND reference = $1"""

        async def list_assigned() -> list[Any]:
            return list(await self._connection.fetch(query, reference))

        assigned = await eventually(list_assigned, lambda rows: len(rows) == count, within=60, every=0.05)
        return [(row["id"], row["assignee"]) for row in assigned]

    async def _take_steps(self, dispatch: ServiceProcess, cases: Sequence[tuple[str, str]]) -> None:
        for action, data in STEPS:
            bodies = [(case, {"action": action, "actor": engineer, "data": data}) for case, engineer in cases]
            requests = [(f"/v1/cases/{case}/actions", json.dumps(body).encode()) for case, body in bodies]
            await post_all(dispatch.port, requests, AT_ONCE)

    async def _sample_cases(self) -> list[str]:
        query = "SELECT case_id FROM dispatch.case_history TABLESAMPLE SYSTEM_ROWS (40)"
        await self._connection.execute("CREATE EXTENSION IF NOT EXISTS tsm_system_rows")
        return [row["case_id"] for row in await self._connection.fetch(query)]

    def _measure_pages(self, dispatch: ServiceProcess, cases: Sequence[str]) -> None:
        page_client = TimedClient(dispatch.port, sign_in(dispatch.port, KEY))
        api_client = TimedClient(dispatch.port, ADMIN_HEADERS)
        board_paths = [f"/board/cases?property=tower-{n % 10}" for n in range(60)]
        for name, client, paths in (
            ("board page, ms", page_client, board_paths),
            (
                "board page by API, ms",
                api_client,
                [f"/v1/cases?property=tower-{n % 10}&open=true" for n in range(60)],
            ),
            ("a case's page, ms", page_client, [f"/cases/{case}" for case in cases]),
            ("a case's page by API, ms", api_client, [f"/v1/cases/{case}" for case in cases]),
        ):
            client.median_milliseconds(paths[:10])
            self.figures[name].append(client.median_milliseconds(paths))

    async def _measure_timers(self) -> None:
        """Look for due timers where none is due, then where the leases of a hundred cases lapse."""
        clock = ManualClock(datetime.now(UTC))
        process = Process(["dispatch"], make_settings(self.folder, self.url), clock)
        async with VirtualProcess(process, clock):
            (service,) = process.services
            if not isinstance(service, Dispatch):
                raise TypeError
            await service.timer_watch.check_due_cases()
            started = time.perf_counter()
            for _ in range(100):
                await service.timer_watch.check_due_cases()
            self.figures["look, none due, ms"].append(10 * (time.perf_counter() - started))
            clock.advance(timedelta(minutes=15))
            started, fired = time.perf_counter(), await service.timer_watch.check_due_cases()
            self.figures["due timer, ms"].append(1000 * (time.perf_counter() - started) / fired)


def _demand_body(reference: str, number: int) -> bytes:
    data = {"property": f"tower-{number % 10}", "kind": "repair", "summary": f"厨房水龙头漏水 {number}",
            "subject": "water_supply", "priority": "normal", "reference": reference,
            "location": {"floor": 12, "unit": "1203"}}  # fmt: skip
    return json.dumps(data).encode()


async def measure(report: Report) -> None:
    """Fill, ask, compare."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        month = await simulate_month(folder)
        write_properties(month, folder)
        subjects: list[tuple[int, GrowthSubject]] = []
        for copies in SIZES:
            url, started = stack.enter_context(fresh_database()), time.monotonic()
            cases = await fill_database(month, folder, url, (*DISPATCH_TABLES, *INTAKE_TABLES), copies)
            report.row(6, f"filling a database with {cases:,} cases", f"{time.monotonic() - started:.0f} s")
            subjects.append((cases, GrowthSubject(folder, url, stack.enter_context(fresh_vhost()))))
        for _ in range(ROUNDS):
            for _, subject in subjects:
                await subject.measure_round()
        _report_figures(report, subjects)


def _report_figures(report: Report, subjects: Sequence[tuple[int, GrowthSubject]]) -> None:
    smallest = subjects[0][1]
    for name in smallest.figures:
        first = statistics.median(smallest.figures[name])
        aim = "< 2 x, < 5 ms" if "page" in name or "due" in name else "<= 1.25 x"
        for cases, subject in subjects:
            figure = statistics.median(subject.figures[name])
            beside = f"{figure / first:.2f} x"
            report.row(6, f"{name}, {cases:,} cases", f"{figure:.2f}", beside=beside, aim=aim)
