"""Goal 6: what a demand, a transition, a page, a search, a due timer cost with few cases and a million.

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
from urllib.parse import quote

import asyncpg

from bench import aims, product_tables
from bench.aims import Aim
from bench.cpu_meter import cpu_seconds
from bench.history import count_copies, fill_database, make_settings, simulate_month, write_properties
from bench.product_tables import DISPATCH_TABLES, INTAKE_TABLES
from bench.query_costs import TimedClient, get_server_pid, post_all, sign_in
from bench.report import Report, format_spread
from bench.sizes import count_rounds, demand_count, history_cases
from guanjia.process import Process
from guanjia.simulation.virtual_process import VirtualProcess
from services.dispatch.app import Dispatch
from shared.clock import ManualClock
from tests.support import servers
from tests.support.processes import KEY, Processes, ServiceProcess
from tests.support.stores import fresh_database, fresh_vhost
from tests.support.waiting import eventually

AT_ONCE, SEARCHES = 8, 12
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
            await asyncio.to_thread(
                self._measure_pages, dispatch, await product_tables.sample_cases(self.url)
            )
            await self._raise_demands(intake, demand_count() // 3)
        finally:
            await self._connection.close()
            for serving in (intake, dispatch):
                await asyncio.to_thread(serving.stop)
        await self._measure_timers()

    async def _measure_writes(self, intake: ServiceProcess, dispatch: ServiceProcess) -> None:
        await self._take_steps(dispatch, await self._raise_demands(intake, 40))  # warm
        pids = [process.child.pid for process in (intake, dispatch) if process.child]
        before = await self._read_cpu(pids)
        cases = await self._raise_demands(intake, demand_count())
        between = await self._read_cpu(pids)
        await self._take_steps(dispatch, cases)
        after = await self._read_cpu(pids)
        self.figures["accept, us of CPU"].append(1e6 * (between - before) / demand_count())
        self.figures["transition, us of CPU"].append(1e6 * (after - between) / demand_count() / len(STEPS))

    async def _read_cpu(self, pids: Sequence[int]) -> float:
        await asyncio.sleep(0.3)  # what follows from it is done too
        return cpu_seconds(await get_server_pid(self._connection), *pids)

    async def _raise_demands(self, intake: ServiceProcess, count: int) -> list[tuple[str, str]]:
        """Post demands and wait until all are opened and given to somebody; (case, engineer)."""
        first, self.raised_count = self.raised_count, self.raised_count + count
        reference = f"bench-{os.getpid()}-{first}"
        requests = [("/v1/demands", _demand_body(reference, number)) for number in range(count)]
        await post_all(intake.port, requests, AT_ONCE)

        async def list_assigned() -> list[tuple[str, str]]:
            return await product_tables.list_assigned(self.url, reference)

        return await eventually(list_assigned, lambda cases: len(cases) == count, within=60, every=0.05)

    async def _take_steps(self, dispatch: ServiceProcess, cases: Sequence[tuple[str, str]]) -> None:
        for action, data in STEPS:
            bodies = [(case, {"action": action, "actor": engineer, "data": data}) for case, engineer in cases]
            requests = [(f"/v1/cases/{case}/actions", json.dumps(body).encode()) for case, body in bodies]
            await post_all(dispatch.port, requests, AT_ONCE)

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
        self._measure_searches(api_client, cases)

    def _measure_searches(self, client: TimedClient, cases: Sequence[str]) -> None:
        """What somebody types who looks for a case of any age at any property."""
        found = [json.loads(client.get(f"/v1/cases/{case}")) for case in cases[:SEARCHES]]
        for name, words in (
            ("number", [case["number"] for case in found]),
            ("unit", [case["location"]["unit"] for case in found if (case["location"] or {}).get("unit")]),
            ("words", [case["summary"][:6] for case in found]),
        ):
            paths = [f"/v1/cases?q={quote(looked_for)}" for looked_for in words]
            self.figures[f"search by {name}, ms"].append(client.median_milliseconds(paths))

    async def _measure_timers(self) -> None:
        """Look for due timers where none is due, then where the leases of cases lapse."""
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
        month = await simulate_month()
        write_properties(month, folder)
        subjects: list[tuple[int, GrowthSubject]] = []
        for copies in count_copies(history_cases() / 100, history_cases() / 10, history_cases()):
            url, started = stack.enter_context(fresh_database()), time.monotonic()
            cases = await fill_database(month, folder, url, (*DISPATCH_TABLES, *INTAKE_TABLES), copies)
            report.row(6, f"filling a database with {cases:,} cases", f"{time.monotonic() - started:.0f} s")
            subjects.append((cases, GrowthSubject(folder, url, stack.enter_context(fresh_vhost()))))
        for _ in range(count_rounds()):
            for _, subject in subjects:
                await subject.measure_round()
        _report_figures(report, subjects)


def _report_figures(report: Report, subjects: Sequence[tuple[int, GrowthSubject]]) -> None:
    """Every size beside the smallest; the largest is judged."""
    smallest, (most, largest) = subjects[0][1], subjects[-1]
    for name, first in smallest.figures.items():
        for cases, subject in subjects[:-1]:
            figure = statistics.median(subject.figures[name])
            beside = f"{figure / statistics.median(first):.2f} x the smallest"
            report.row(6, f"{name}, {cases:,} cases", f"{figure:.2f}", beside=beside)
        ratios = [last / one for one, last in zip(first, largest.figures[name], strict=True)]
        beside = format_spread(ratios, "x the smallest")
        if name.endswith("us of CPU"):
            figure = statistics.median(largest.figures[name])
            report.judge(aims.GROWTH, f"{name}, {most:,} cases", ratios, beside=f"{figure:,.0f} us")
        else:
            report.judge(_aim_of(name), f"{name}, {most:,} cases", largest.figures[name], beside=beside)


def _aim_of(name: str) -> Aim:
    """What the time that it takes is to stay below."""
    if name.startswith("search"):
        return aims.SEARCH
    return aims.DUE_TIMER if "due" in name else aims.PAGE
