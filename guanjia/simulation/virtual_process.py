"""A process whose services live by a virtual clock: nothing runs in the background, turns are taken.

`advance` moves the time to each due instant in order, and before it moves on everything that follows is done:
timers fire, outboxes and the bus are drained, and again, until quiet. The same world serves tests.
"""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self, TypeVar

import httpx

from guanjia.process import Process
from services.dispatch.app import Dispatch
from services.dispatch.operations.demands import match_withdrawals
from services.dispatch.queries.timers import next_due_at
from services.intake.app import Intake
from services.intake.jobs import republish_once
from services.intake.queries import count_unaccounted_demands
from services.kpi.app import Kpi
from services.kpi.jobs import refresh_gauges
from shared.clock import ManualClock
from shared.messages.cloudevents import Event, decode_events
from shared.messaging.bus import Consumer
from shared.messaging.embedded import MAX_BATCH, EmbeddedBus
from shared.service import Service

TURNS = 10_000
"""A world that has not come to rest by then never will."""
Heard = Callable[[Sequence[Event]], None]
S = TypeVar("S", bound=Service)


class NeverQuiet(Exception):
    """What is done gives rise to more without end, or something that is due can't be done."""


class VirtualProcess:
    """`process` under `clock`, on the embedded bus, driven by hand.

    `heard` is told what is put on each queue named there. The consumers of `slow` queues lag behind: they
    take what is there in `settle` only, in large sets.
    """

    def __init__(
        self,
        process: Process,
        clock: ManualClock,
        *,
        heard: Mapping[str, Heard] | None = None,
        slow: Collection[str] = (),
    ) -> None:
        self.process, self.clock = process, clock
        bus = process.services[0].bus
        if not isinstance(bus, EmbeddedBus) or process.clock is not clock:
            raise TypeError("a world needs a process on its own clock and the embedded bus")
        self._bus, self._heard, self._slow = bus, dict(heard or {}), frozenset(slow)
        for database in (bus.database, *(service.database for service in process.services)):
            database.use_in_single_task()
        self._consumers: dict[str, Consumer] = {}
        self._filled: set[str] = set()
        self._later: list[tuple[datetime, str]] = []
        self._next_timer: datetime | None = clock.now()
        self._dispatch = self._one(Dispatch)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(process.app()), base_url="http://guanjia.simulated", timeout=60
        )

    async def __aenter__(self) -> Self:
        await self._bus.start({})
        for service in self.process.services:
            await service.migrate_and_prepare()
            service.ready = True
            self._consumers |= service.consumers()
        self._filled.update(await self._bus.list_filled_queues())
        self._bus.add_listener(self._listen)
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.process.stop()

    def _listen(self, queue: str, body: bytes, available_at: datetime) -> None:
        if available_at <= self.clock.now():
            self._filled.add(queue)
        else:
            heapq.heappush(self._later, (available_at, queue))
        if queue in self._heard:
            self._heard[queue](decode_events(body))

    async def quiet(self) -> None:
        """Do all that there is to do now, but for slow consumers. Raises NeverQuiet where that has no end."""
        await self._rest(self._slow)

    async def settle(self) -> None:
        """Do all that there is to do now, slow consumers included. Raises NeverQuiet."""
        await self._rest(frozenset())

    async def _rest(self, without: frozenset[str]) -> None:
        for turn in range(TURNS):
            if not await self._turn(without):
                if turn:
                    await self._see_timers()
                return
        raise NeverQuiet

    async def _turn(self, without: frozenset[str]) -> bool:
        """Relay what was recorded, deliver it, look at what is due; whether there was anything to do."""
        done = 0
        for service in self.process.services:
            done += await service.relay.drain()
        while self._later and self._later[0][0] <= self.clock.now():
            self._filled.add(heapq.heappop(self._later)[1])
        for queue in sorted((self._filled - without) & self._consumers.keys()):
            self._filled.discard(queue)
            while await self._bus.deliver_batch(queue, self._consumers[queue]) == MAX_BATCH:
                pass
            done += 1
        if (
            self._dispatch is not None
            and self._next_timer is not None
            and self._next_timer <= self.clock.now()
        ):
            looked = await self._dispatch.timer_watch.check_due_cases()
            done += looked
            if not looked:
                await self._see_timers()
        return done > 0

    async def _see_timers(self) -> None:
        if self._dispatch is not None:
            async with self._dispatch.database.snapshot() as connection:
                self._next_timer = await next_due_at(connection)

    def due(self) -> datetime | None:
        """When something is due next by itself, as of the last rest."""
        found = [self._next_timer, self._later[0][0] if self._later else None]
        return min((at for at in found if at is not None), default=None)

    async def advance(self, by: timedelta) -> None:
        """Let `by` go by: whatever is due in it happens in its order, each with all that follows from it."""
        until = self.clock.now() + by
        await self.quiet()
        while (at := self.due()) is not None and at <= until:
            if at <= self.clock.now():
                raise NeverQuiet
            await self._at(at)
        await self._at(until)

    async def _at(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())
        await self.quiet()

    async def sweep(self) -> None:
        """Settle, and do what services do every few seconds: reconcile, match withdrawals, refresh gauges."""
        await self.settle()
        intake, kpi = self._one(Intake), self._one(Kpi)
        if intake is not None:
            await republish_once(intake)
        if self._dispatch is not None:
            async with self._dispatch.database.transaction() as connection:
                await match_withdrawals(connection, self._dispatch, self.clock.now())
        if kpi is not None:
            await refresh_gauges(kpi)
        await self.settle()

    async def left(self) -> dict[str, int]:
        """What is not settled: in outboxes and on the bus, dead letters, demands without a case."""
        found = {"bus": await self._bus.count_messages()}
        for service in self.process.services:
            found[f"outbox of {service.name}"] = (await service.relay.measure_backlog())[0]
            async with service.database.snapshot() as connection:
                dead = await service.dead_letters.count_by_queue(connection)
                found[f"dead letters of {service.name}"] = sum(dead.values())
                if isinstance(service, Intake):
                    lost = await count_unaccounted_demands(connection, self.clock.now(), timedelta(0))
                    found["demands without a case"] = lost
        return {name: count for name, count in found.items() if count}

    def _one(self, kind: type[S]) -> S | None:
        return next((service for service in self.process.services if isinstance(service, kind)), None)
