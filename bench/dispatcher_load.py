"""Everybody whom a repair needs: residents who post, a board that watches, engineers and quality who act.

A repair makes eight transitions: the system assigns it, and seven actions come over HTTP as phones send
them, each with an Idempotency-Key. The next action is sent once the one before is answered, the first once
the board shows it. Where repairs are to be closed, quality follows them up, and the system closes them.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from bench.environment import RunningProduct
from bench.http_client import HttpConnection, stream_events
from bench.payload import demand_json
from tests.support.waiting import eventually

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
_TAIL_SECONDS = 60.0
_ACTION_BODIES = [(action, msgspec.json.encode({"action": action, "data": data})) for action, data in ACTIONS]


class _Case(msgspec.Struct):
    id: str


class _Entry(msgspec.Struct):
    to: str


class _Change(msgspec.Struct):
    case: _Case
    entry: _Entry


class _Accepted(msgspec.Struct):
    demand: str


class _FollowUp(msgspec.Struct):
    id: str


class _FollowUps(msgspec.Struct):
    items: list[_FollowUp]


_change_decoder = msgspec.json.Decoder(_Change)
_accepted_decoder = msgspec.json.Decoder(_Accepted)
_follow_ups_decoder = msgspec.json.Decoder(_FollowUps)
_ANSWERED = msgspec.json.encode(
    {"outcome": "answered", "channel": "phone", "answer": {"rating": 5}, "actor": "quality-0"}
)


class DispatcherLoad:
    """Residents, engineers and quality of one running product; a board's stream is open all the while."""

    def __init__(self, product: RunningProduct) -> None:
        self._product = product
        self._assigned_futures: dict[str, asyncio.Future[float]] = {}
        self._posted = 0

    @contextlib.asynccontextmanager
    async def watch_board(self) -> AsyncIterator["DispatcherLoad"]:
        """The board watches."""
        events = stream_events(self._product.port("dispatch"), "/v1/cases/stream")
        await anext(events)
        async with asyncio.TaskGroup() as group:  # a board that fails ends the work
            watcher = group.create_task(self._note_assignments(events))
            yield self
            watcher.cancel()

    async def _note_assignments(self, events: AsyncIterator[bytes]) -> None:
        async for data in events:
            change = _change_decoder.decode(data)
            if change.entry.to == "dispatched":
                self._future_of(change.case.id).set_result(time.perf_counter())

    def _future_of(self, case: str) -> asyncio.Future[float]:
        """Resolved when the board shows it assigned, whichever comes first: the answer or the board."""
        if case not in self._assigned_futures:
            self._assigned_futures[case] = asyncio.get_running_loop().create_future()
        return self._assigned_futures[case]

    async def connect(self, service: str) -> HttpConnection:
        """A connection to a service."""
        return await HttpConnection.open(self._product.port(service))

    async def post_demand(self, connection: HttpConnection) -> str:
        """Post a demand; its id, which is the case's."""
        self._posted += 1
        reply = await connection.post("/v1/demands", demand_json(self._posted).encode())
        return _accepted_decoder.decode(reply).demand

    async def wait_until_assigned(self, case: str) -> float:
        """When the board showed it assigned."""
        shown_at = await self._future_of(case)
        del self._assigned_futures[case]
        return shown_at

    async def take_all_actions(self, connection: HttpConnection, case: str) -> None:
        """All actions of a repair, one after another."""
        for number, (action, body) in enumerate(_ACTION_BODIES):
            await connection.post(f"/v1/cases/{case}/actions", body, f"{case}/{number}-{action}")

    async def follow_up(self, connection: HttpConnection, case: str) -> None:
        """Ask the resident, once survey knows of the case; the answer ends it."""

        async def list_follow_ups() -> list[_FollowUp]:
            return _follow_ups_decoder.decode(await connection.get(f"/v1/followups?case={case}")).items

        (follow_up,) = await eventually(list_follow_ups, within=_TAIL_SECONDS, every=0.05)
        await connection.post(f"/v1/followups/{follow_up.id}/attempts", _ANSWERED, f"{case}/answered")

    async def repair(
        self, resident: HttpConnection, engineer: HttpConnection, quality: HttpConnection, *, close: bool
    ) -> str:
        """One whole repair over these connections; its id."""
        case = await self.post_demand(resident)
        await self.wait_until_assigned(case)
        await self.take_all_actions(engineer, case)
        if close:
            await self.follow_up(quality, case)
        return case

    async def run_repairs(self, seconds: float, at_once: int, *, close: bool = False) -> tuple[int, float]:
        """Whole repairs, so many at once, begun for so long: how many, and the seconds until the last end.

        With `close` each is followed up too.
        """
        started, done = time.perf_counter(), 0
        until = started + seconds

        async def repair_in_turn() -> None:
            nonlocal done
            connections = [await self.connect(service) for service in ("intake", "dispatch", "survey")]
            while time.perf_counter() < until:
                await self.repair(*connections, close=close)
                done += 1
            for connection in connections:
                connection.close()

        async with asyncio.timeout(seconds + _TAIL_SECONDS), asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(repair_in_turn())
        return done, time.perf_counter() - started
