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

from bench.cpu_meter import cpu_seconds
from bench.history import KPI, PROPERTIES, fill, live_month, write_properties
from bench.query_costs import CASES as EVENTS
from bench.query_costs import Asking, server_of
from bench.report import Report
from tests.support import servers
from tests.support.children import spawn
from tests.support.processes import KEY, Processes, Serving
from tests.support.stores import fresh_database, fresh_vhost

A_MONTH = 2100
"""About how many facts and cases of a month kpi holds."""
_ITEMS = "SELECT count(*), coalesce(sum(hashtextextended(i::text, 0)), 0)::text FROM kpi.items i"
_EVENTS = "SELECT (SELECT count(*) FROM kpi.facts) + (SELECT count(*) FROM kpi.cases)"
_REBUILD = (str(Path(sys.executable).with_name("guanjia")), "kpi", "rebuild")


class Watcher(threading.Thread):
    """Asks for the year's rates of one property after the other, as of one instant, until told to stop."""

    def __init__(self, serving: Serving) -> None:
        super().__init__()
        self._asking = Asking(serving.port, {"Authorization": f"Bearer {KEY}"})
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._paths = [f"/v1/kpis?property=tower-{n}&window=year&at={at}" for n in range(PROPERTIES)]
        self._before = [self._asking.get(path) for path in self._paths]
        self._done = threading.Event()
        self.took: list[float] = []
        self.other = 0

    def run(self) -> None:
        """Ten times a second."""
        number = 0
        while not self._done.wait(0.1):
            number = (number + 1) % PROPERTIES
            began = time.perf_counter()
            self.other += self._asking.get(self._paths[number]) != self._before[number]
            self.took.append(1000 * (time.perf_counter() - began))

    def same_as_before(self) -> bool:
        """End; whether every figure is what it was at first."""
        self._done.set()
        self.join()
        return [self._asking.get(path) for path in self._paths] == self._before


class Place:
    """A filled database and kpi on it."""

    def __init__(self, folder: Path, url: str, group: Processes) -> None:
        self._folder, self._url, self._group = folder, url, group

    async def rebuilt(self, report: Report, what: str, events: int) -> None:
        """Rebuild, and watch what is served meanwhile."""
        connection = await asyncpg.connect(servers.plain(self._url))
        try:
            server = await server_of(connection)
            before = await connection.fetchrow(_ITEMS)
            watcher = Watcher(self._group.started[0])
            if what == "all gone":
                await connection.execute("TRUNCATE kpi.items")
            watcher.start()
            cpu, began = cpu_seconds(server), time.perf_counter()
            env, log = os.environ | self._group.env, self._folder / "log"
            child = spawn(_REBUILD, env=env, log=log, cwd=self._folder)
            own = await asyncio.to_thread(_waited, child)
            took, cpu = time.perf_counter() - began, cpu_seconds(server) - cpu
            same, after = watcher.same_as_before(), await connection.fetchrow(_ITEMS)
        finally:
            await connection.close()
        each = f"{1e6 * own / events:.0f} us, PostgreSQL {1e6 * cpu / events:.0f} us"
        report.row(8, f"rebuild from {events:,} events, {what}", f"{took:.0f} s", cpu=each, aim="<= 60 s",
                   beside=f"items the same: {before == after}, figures the same: {same}")  # fmt: skip
        answers = f"{len(watcher.took)} answers in {statistics.median(watcher.took):.0f} ms"
        aim = "none other" if what == "all right" else ""
        report.row(8, "figures asked for meanwhile", answers, beside=f"{watcher.other} other", aim=aim)


def _waited(child: "subprocess.Popen[bytes]") -> float:
    """Wait for its end; the CPU seconds that it used. RuntimeError where it failed."""
    used = 0.0
    while child.poll() is None:
        used = max(used, cpu_seconds(child.pid))
        time.sleep(0.05)
    if child.returncode:
        raise RuntimeError(f"rebuild ended with {child.returncode}")
    return used


async def measure(report: Report) -> None:
    """Fill, rebuild twice."""
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as place, ExitStack() as stack:
        folder = Path(place)
        month = await live_month(folder)
        write_properties(month, folder)
        url = stack.enter_context(fresh_database())
        await fill(month, folder, url, KPI, max(1, round(EVENTS / A_MONTH / PROPERTIES)))
        amqp_url: Any = stack.enter_context(fresh_vhost())
        group = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp_url)
        stack.callback(group.close)
        group.start("kpi")
        events = await _events(url)
        for what in ("all right", "all gone"):
            await Place(folder, url, group).rebuilt(report, what, events)


async def _events(url: str) -> int:
    connection = await asyncpg.connect(servers.plain(url))
    try:
        return int(await connection.fetchval(_EVENTS))
    finally:
        await connection.close()
