"""Goal 8: every rate made anew from a million events by `guanjia kpi rebuild`, while kpi goes on serving.

Twice: where what is kept is right, and where all of it is gone. BENCH_CASES names the number of events.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from bench import aims
from bench.cpu_meter import cpu_seconds
from bench.history import PROPERTIES, fill_database, simulate_month, write_properties
from bench.product_tables import DELETE_RATE_ITEMS, KPI_TABLES, RATE_EVENTS, RATE_ITEMS
from bench.query_costs import TimedClient, get_server_pid
from bench.report import Report
from bench.sizes import history_cases
from bench.wrk import BenchFailed
from tests.support import servers
from tests.support.children import spawn
from tests.support.processes import KEY, Processes, ServiceProcess
from tests.support.stores import fresh_database, fresh_vhost

EVENTS_PER_MONTH = 2100
"""About how many facts and cases of a month kpi holds."""
_REBUILD = (str(Path(sys.executable).with_name("guanjia")), "kpi", "rebuild")


class RateWatcher(threading.Thread):
    """Asks for the year's rates of one property after the other, as of one instant, until told to stop."""

    def __init__(self, serving: ServiceProcess) -> None:
        super().__init__()
        self._client = TimedClient(serving.port, {"Authorization": f"Bearer {KEY}"})
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._paths = [f"/v1/kpis?property=tower-{n}&window=year&at={at}" for n in range(PROPERTIES)]
        self._expected = [self._client.get(path) for path in self._paths]
        self._done = threading.Event()
        self.durations: list[float] = []
        self.different_replies = 0

    def run(self) -> None:
        """Ten times a second."""
        number = 0
        while not self._done.wait(0.1):
            number = (number + 1) % PROPERTIES
            started = time.perf_counter()
            self.different_replies += self._client.get(self._paths[number]) != self._expected[number]
            self.durations.append(1000 * (time.perf_counter() - started))

    def finish(self) -> bool:
        """End; whether every figure is what it was at first."""
        self._done.set()
        self.join()
        return [self._client.get(path) for path in self._paths] == self._expected


class RebuildSubject:
    """A filled database and kpi on it."""

    def __init__(self, folder: Path, url: str, group: Processes) -> None:
        self._folder, self._url, self._group = folder, url, group

    async def rebuild_and_watch(self, report: Report, state_before: str, events: int) -> None:
        """Rebuild, and watch what is served meanwhile."""
        connection = await asyncpg.connect(servers.strip_driver(self._url))
        try:
            server = await get_server_pid(connection)
            before = await connection.fetchrow(RATE_ITEMS)
            watcher = RateWatcher(self._group.started[0])
            if state_before == "all gone":
                await connection.execute(DELETE_RATE_ITEMS)
            watcher.start()
            server_cpu, started = cpu_seconds(server), time.perf_counter()
            env, log = os.environ | self._group.env, self._folder / "log"
            child = spawn(_REBUILD, env=env, log=log, cwd=self._folder)
            rebuild_cpu = await asyncio.to_thread(_wait_for_end, child)
            took, server_cpu = time.perf_counter() - started, cpu_seconds(server) - server_cpu
            figures_same, after = watcher.finish(), await connection.fetchrow(RATE_ITEMS)
        finally:
            await connection.close()
        cost = f"{1e6 * rebuild_cpu / events:.0f} us, PostgreSQL {1e6 * server_cpu / events:.0f} us"
        if before != after or not figures_same:
            raise BenchFailed(f"rebuilt, {state_before}: items {before}, then {after}; same: {figures_same}")
        report.judge(aims.REBUILD, f"rebuild from {events:,} events, {state_before}", [took], cpu=cost)
        self._report_replies(report, state_before, watcher)

    def _report_replies(self, report: Report, state_before: str, watcher: RateWatcher) -> None:
        """The old figures are served meanwhile; where all is gone there are none."""
        what = f"{len(watcher.durations)} figures asked for meanwhile, {state_before}"
        duration = f"answered in {statistics.median(watcher.durations or [0]):.0f} ms"
        if state_before == "all right":
            report.judge(aims.REBUILD_SERVES, what, [watcher.different_replies], beside=duration)
        else:
            report.row(8, what, f"{watcher.different_replies} other answers", beside=duration)


def _wait_for_end(child: "subprocess.Popen[bytes]") -> float:
    """Wait for its end; the CPU seconds that it used. RuntimeError where it failed."""
    cpu = 0.0
    while child.poll() is None:
        cpu = max(cpu, cpu_seconds(child.pid))
        time.sleep(0.05)
    if child.returncode:
        raise RuntimeError(f"rebuild ended with {child.returncode}")
    return cpu


async def measure(report: Report) -> None:
    """Fill, rebuild twice."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        month = await simulate_month()
        write_properties(month, folder)
        url = stack.enter_context(fresh_database())
        await fill_database(
            month, folder, url, KPI_TABLES, max(1, round(history_cases() / EVENTS_PER_MONTH / PROPERTIES))
        )
        amqp_url: Any = stack.enter_context(fresh_vhost())
        group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        stack.callback(group.close)
        group.start("kpi")
        events = await _count_events(url)
        for state_before in ("all right", "all gone"):
            await RebuildSubject(folder, url, group).rebuild_and_watch(report, state_before, events)


async def _count_events(url: str) -> int:
    connection = await asyncpg.connect(servers.strip_driver(url))
    try:
        return int(await connection.fetchval(RATE_EVENTS))
    finally:
        await connection.close()
