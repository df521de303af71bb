"""Everybody whom a repair needs: residents who post, a board that watches, engineers and quality who act.

A repair makes eight transitions: the system assigns it, and seven actions come over HTTP as phones send
them, each with an Idempotency-Key. The next action is sent once the one before is answered, the first once
the board shows it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from bench.environment import Product
from bench.http_client import Line, told
from bench.payload import demand_json

ACTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("accept", {}),
    ("depart", {}),
    ("arrive", {}),
    ("wait", {"reason": "parts"}),
    ("resume", {}),
    ("complete", {}),
    ("inspect", {"passed": True}),
)
STEPS = 1 + len(ACTIONS)
LAST = "following_up"
_TAIL = 60.0
_ASKED = [(action, msgspec.json.encode({"action": action, "data": data})) for action, data in ACTIONS]


class _Case(msgspec.Struct):
    id: str


class _Entry(msgspec.Struct):
    to: str


class _Change(msgspec.Struct):
    case: _Case
    entry: _Entry


class _Accepted(msgspec.Struct):
    demand: str


_change = msgspec.json.Decoder(_Change)
_accepted = msgspec.json.Decoder(_Accepted)


class Office:
    """Works on one running product; a board's stream open all the while."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._shown: dict[str, asyncio.Future[float]] = {}
        self._numbers = 0

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator["Office"]:
        """The board watches."""
        changes = told(self._product.port("dispatch"), "/v1/cases/stream")
        await anext(changes)
        async with asyncio.TaskGroup() as group:  # a board that fails ends the work
            watching = group.create_task(self._watch(changes))
            yield self
            watching.cancel()

    async def _watch(self, changes: AsyncIterator[bytes]) -> None:
        async for data in changes:
            change = _change.decode(data)
            if change.entry.to == "dispatched":
                self._of(change.case.id).set_result(time.perf_counter())

    def _of(self, case: str) -> asyncio.Future[float]:
        """Resolved when the board shows it assigned, whichever comes first: the answer or the board."""
        if case not in self._shown:
            self._shown[case] = asyncio.get_running_loop().create_future()
        return self._shown[case]

    async def line(self, service: str) -> Line:
        """A connection to a service."""
        return await Line.to(self._product.port(service))

    async def demand(self, line: Line) -> str:
        """Post a demand; its id, which is the case's."""
        self._numbers += 1
        said = await line.post("/v1/demands", demand_json(self._numbers).encode())
        return _accepted.decode(said).demand

    async def assigned(self, case: str) -> float:
        """When the board showed it assigned."""
        seen = await self._of(case)
        del self._shown[case]
        return seen

    async def act(self, line: Line, case: str) -> None:
        """All actions of a repair, one after another."""
        for number, (action, body) in enumerate(_ASKED):
            await line.post(f"/v1/cases/{case}/actions", body, f"{case}/{number}-{action}")

    async def repairs(self, seconds: float, at_once: int) -> tuple[int, float]:
        """Whole repairs, so many at once, begun for so long: how many, and the seconds until the last end."""
        started, done = time.perf_counter(), 0
        until = started + seconds

        async def repairer() -> None:
            nonlocal done
            resident, engineer = await self.line("intake"), await self.line("dispatch")
            while time.perf_counter() < until:
                case = await self.demand(resident)
                await self.assigned(case)
                await self.act(engineer, case)
                done += 1
            resident.close()
            engineer.close()

        async with asyncio.timeout(seconds + _TAIL), asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(repairer())
        return done, time.perf_counter() - started
