"""A steady load of everything at once: repairs followed to their end, facts, lists, rates, scrapes.

So many repairs a second are begun whatever becomes of those before; every second a batch of facts is posted,
and the board, the rates and all metrics are read.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES
from bench.http_client import HttpConnection

CONNECTIONS = 32
"""To each service; who finds none free waits."""
FACTS = 20
_TAIL_SECONDS = 90.0
_READS = (
    ("dispatch", "/v1/cases?open=true"),
    ("dispatch", "/v1/cases?q=1203"),
    ("kpi", "/v1/kpis?property=tower&window=month"),
    ("survey", "/v1/followups?property=tower"),
    *((service, "/metrics") for service in SERVICES),
)


class MixedLoad:
    """The load on one running product."""

    def __init__(self, load: DispatcherLoad) -> None:
        self._load = load
        self._pools: dict[str, asyncio.LifoQueue[HttpConnection]] = {}
        self.repairs = self.facts = 0

    async def connect(self) -> None:
        """Open all connections."""
        for service in SERVICES:
            self._pools[service] = asyncio.LifoQueue()
            for _ in range(CONNECTIONS):
                self._pools[service].put_nowait(await self._load.connect(service))

    def close(self) -> None:
        """Hang up."""
        for pool in self._pools.values():
            while not pool.empty():
                pool.get_nowait().close()

    @asynccontextmanager
    async def _borrow(self, service: str) -> Any:
        connection = await self._pools[service].get()
        try:
            yield connection
        finally:
            self._pools[service].put_nowait(connection)

    async def run(self, seconds: float, rate: float) -> None:
        """Begin `rate` repairs a second for so long; returns when the last of them is closed."""
        started = time.perf_counter()
        async with asyncio.timeout(seconds + _TAIL_SECONDS), asyncio.TaskGroup() as group:
            for number in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
                group.create_task(self._repair())
                if number % max(1, round(rate)) == 0:
                    group.create_task(self._post_facts())
                    group.create_task(self._read())

    async def _repair(self) -> None:
        async with self._borrow("intake") as resident:
            case = await self._load.post_demand(resident)
        await self._load.wait_until_assigned(case)
        async with self._borrow("dispatch") as engineer:
            await self._load.take_all_actions(engineer, case)
        async with self._borrow("survey") as quality:
            await self._load.follow_up(quality, case)
        self.repairs += 1

    async def _post_facts(self) -> None:
        async with self._borrow("intake") as connection:
            batch = list(_make_facts(self.facts))
            self.facts += len(batch)
            await connection.post("/v1/events", msgspec.json.encode(batch))

    async def _read(self) -> None:
        for service, path in _READS:
            async with self._borrow(service) as connection:
                await connection.get(path)


def _make_facts(first: int) -> Iterator[dict[str, Any]]:
    """Bills and their payments, incidents nobody answers for, intact equipment."""
    now = datetime.now(UTC).isoformat()
    for number in range(first, first + FACTS):
        pair = number // 4
        kind, data = (
            ("fee.billed", {"bill": f"b-{pair}", "amount": "120.50", "due_at": now}),
            ("fee.paid", {"payment": f"p-{pair}", "bill": f"b-{pair}", "amount": "120.50"}),
            ("incident.recorded", {"incident": f"i-{pair}", "severity": "general", "responsible": False,
                                   "occurred_at": now}),
            ("equipment.state", {"equipment": f"pump-{pair % 20}", "state": "intact"}),
        )[number % 4]  # fmt: skip
        yield {
            "specversion": "1.0",
            "id": f"fact-{number}",
            "source": "bench/mixed",
            "type": f"guanjia.{kind}.v1",
            "time": now,
            "data": {"property": "tower", **data},
        }
