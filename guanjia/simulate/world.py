"""A process whose services live by a virtual clock: nothing runs in the background, turns are taken.

`advance` moves the time to each due instant in order, and before it moves on everything that follows is done:
timers fire, outboxes and the bus are drained, and again, until quiet. The same world serves tests.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self, TypeVar

import httpx

from guanjia.serve import Process
from services.dispatch import queries
from services.dispatch.app import Dispatch
from services.dispatch.operations import match_withdrawals
from services.intake.app import Intake
from services.intake.jobs import reconcile_once
from services.intake.queries import unaccounted
from services.kpi.app import Kpi
from services.kpi.jobs import refresh
from shared.bus import Consumer, Delivery
from shared.bus.embedded import EmbeddedBus
from shared.clock import ManualClock
from shared.messages import Event, decode_any
from shared.service import Service

TURNS = 10_000
"""A world that has not come to rest by then never will."""
Heard = Callable[[Sequence[Event]], None]
S = TypeVar("S", bound=Service)


class NeverQuiet(Exception):
    """What is done gives rise to more without end, or something that is due can't be done."""


class World:
    """`process` under `clock`, on the embedded bus. `heard` is told what comes to each queue named there."""

    def __init__(
        self, process: Process, clock: ManualClock, heard: Mapping[str, Heard] | None = None
    ) -> None:
        self.process, self.clock = process, clock
        bus = process.services[0].bus
        if not isinstance(bus, EmbeddedBus) or process.clock is not clock:
            raise TypeError("a world needs a process on its own clock and the embedded bus")
        self._bus, self._heard = bus, dict(heard or {})
        for database in (bus.database, *(service.database for service in process.services)):
            database.drive_by_hand()
        self._consumers: dict[str, Consumer] = {}
        self._dispatch = self._one(Dispatch)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(process.app()), base_url="http://guanjia.simulated", timeout=60
        )

    async def __aenter__(self) -> Self:
        await self._bus.start({})
        for service in self.process.services:
            await service.make_ready()
            service.ready = True
            service.relay.wake()
            self._consumers |= service.consumers()
        await self.quiet()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.process.stop()

    async def quiet(self) -> None:
        """Do all that there is to do now. Raises NeverQuiet where that has no end."""
        for _ in range(TURNS):
            if not await self._turn():
                return
        raise NeverQuiet

    async def _turn(self) -> int:
        """Relay what was recorded, deliver what was relayed, look at what is due; how much that was."""
        done = 0
        for service in self.process.services:
            done += await service.relay.drain()
        for queue in await self._bus.waiting():
            if queue in self._consumers:
                done += await self._bus.take(queue, self._overheard(queue))
        if self._dispatch is not None:
            done += await self._dispatch.watch.look()
        return done

    def _overheard(self, queue: str) -> Consumer:
        consumer, heard = self._consumers[queue], self._heard.get(queue)
        if heard is None:
            return consumer

        async def take(deliveries: Sequence[Delivery]) -> None:
            await consumer(deliveries)
            heard([event for delivery in deliveries for event in decode_any(delivery.body)])

        return take

    async def due(self) -> datetime | None:
        """When something is due next by itself."""
        found = [await self._bus.next_due()]
        if self._dispatch is not None:
            async with self._dispatch.database.read() as connection:
                found.append(await queries.next_due(connection))
        return min((at for at in found if at is not None), default=None)

    async def advance(self, by: timedelta) -> None:
        """Let `by` go by: whatever is due in it happens in its order, each with all that follows from it."""
        until = self.clock.now() + by
        await self.quiet()
        while (at := await self.due()) is not None and at <= until:
            if at <= self.clock.now():
                raise NeverQuiet
            await self._at(at)
        await self._at(until)

    async def _at(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())
        await self.quiet()

    async def sweep(self) -> None:
        """What the services do every few seconds beside: reconcile, match withdrawals, refresh the gauges."""
        intake, kpi = self._one(Intake), self._one(Kpi)
        if intake is not None:
            await reconcile_once(intake)
        if self._dispatch is not None:
            async with self._dispatch.database.begin() as connection:
                await match_withdrawals(connection, self._dispatch, self.clock.now())
            self._dispatch.committed()
        if kpi is not None:
            await refresh(kpi)
        await self.quiet()

    async def left(self) -> dict[str, int]:
        """What is not settled: in outboxes and on the bus, dead letters, demands without a case."""
        found = {"bus": await self._bus.pending()}
        for service in self.process.services:
            found[f"outbox of {service.name}"] = (await service.relay.backlog())[0]
            async with service.database.read() as connection:
                dead = await service.dead_letters.counts(connection)
            found[f"dead letters of {service.name}"] = sum(dead.values())
            if isinstance(service, Intake):
                async with service.database.read() as connection:
                    lost = await unaccounted(connection, self.clock.now(), timedelta(0))
                found["demands without a case"] = lost
        return {name: count for name, count in found.items() if count}

    def _one(self, kind: type[S]) -> S | None:
        return next((service for service in self.process.services if isinstance(service, kind)), None)
