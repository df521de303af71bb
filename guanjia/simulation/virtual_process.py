"""A process whose services live by a virtual clock: nothing runs in the background, all is driven by hand.

`advance` moves the time to each due instant in order, and before it moves on everything that follows is done:
timers fire, outboxes and the bus are drained, and again, until nothing is left to do. Tests use it, too.
"""

import heapq
from collections.abc import Callable, Collection, Sequence
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

MAX_TURNS = 10_000
"""A process that has not come to rest by then never will."""
QueueListener = Callable[[Sequence[Event]], None]
ServiceT = TypeVar("ServiceT", bound=Service)


class NeverSettles(Exception):
    """What is done gives rise to more without end, or something that is due can't be done."""


class VirtualProcess:
    """`process` under `clock`, on the embedded bus, driven by hand.

    The consumers of `slow_queues` lag behind: they take what is there in `settle` only, in large batches.
    """

    def __init__(self, process: Process, clock: ManualClock, *, slow_queues: Collection[str] = ()) -> None:
        self.process, self.clock = process, clock
        bus = process.services[0].bus
        if not isinstance(bus, EmbeddedBus) or process.clock is not clock:
            raise TypeError("a virtual process needs a clock of its own and the embedded bus")
        self._bus, self._slow_queues = bus, frozenset(slow_queues)
        self._listeners: dict[str, QueueListener] = {}
        for database in (bus.database, *(service.database for service in process.services)):
            database.use_in_single_task()
        self._consumers: dict[str, Consumer] = {}
        self._filled_queues: set[str] = set()
        self._delayed: list[tuple[datetime, str]] = []
        self._next_timer: datetime | None = clock.now()
        self._dispatch = self._find_service(Dispatch)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(process.app()), base_url="http://guanjia.simulated", timeout=60
        )

    async def __aenter__(self) -> Self:
        await self._bus.start({})
        for service in self.process.services:
            await service.migrate_and_prepare()
            service.ready = True
            self._consumers |= service.consumers()
        self._filled_queues.update(await self._bus.list_filled_queues())
        self._bus.add_listener(self._note_message)
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.process.stop()

    def listen(self, queues: Collection[str], listener: QueueListener) -> None:
        """Call `listener` with the events of every message that is put on one of `queues` from now on."""
        self._listeners |= dict.fromkeys(queues, listener)

    def _note_message(self, queue: str, body: bytes, available_at: datetime) -> None:
        if available_at <= self.clock.now():
            self._filled_queues.add(queue)
        else:
            heapq.heappush(self._delayed, (available_at, queue))
        if queue in self._listeners:
            self._listeners[queue](decode_events(body))

    async def run_pending(self) -> None:
        """Do all that there is to do now, but for slow queues. Raises NeverSettles where that has no end."""
        await self._run_until_quiet(self._slow_queues)

    async def settle(self) -> None:
        """Do all that there is to do now, slow consumers included. Raises NeverSettles."""
        await self._run_until_quiet(frozenset())

    async def _run_until_quiet(self, skipped_queues: frozenset[str]) -> None:
        for number in range(MAX_TURNS):
            if not await self._run_turn(skipped_queues):
                if number:
                    await self._refresh_next_timer()
                return
        raise NeverSettles

    async def _run_turn(self, skipped_queues: frozenset[str]) -> bool:
        """Relay what was recorded, deliver it, look at what is due; whether there was anything to do."""
        done = 0
        for service in self.process.services:
            done += await service.relay.drain()
        while self._delayed and self._delayed[0][0] <= self.clock.now():
            self._filled_queues.add(heapq.heappop(self._delayed)[1])
        for queue in sorted((self._filled_queues - skipped_queues) & self._consumers.keys()):
            self._filled_queues.discard(queue)
            while await self._bus.deliver_batch(queue, self._consumers[queue]) == MAX_BATCH:
                pass
            done += 1
        return await self._fire_due_timers() or done > 0

    async def _fire_due_timers(self) -> bool:
        if self._dispatch is None or self._next_timer is None or self._next_timer > self.clock.now():
            return False
        fired = await self._dispatch.timer_watch.check_due_cases()
        if not fired:
            await self._refresh_next_timer()
        return fired > 0

    async def _refresh_next_timer(self) -> None:
        if self._dispatch is not None:
            async with self._dispatch.database.snapshot() as connection:
                self._next_timer = await next_due_at(connection)

    def next_due_at(self) -> datetime | None:
        """When something is due next by itself, as of when all was last done."""
        instants = [self._next_timer, self._delayed[0][0] if self._delayed else None]
        return min((at for at in instants if at is not None), default=None)

    async def advance(self, by: timedelta) -> None:
        """Let `by` go by: whatever is due in it happens in its order, each with all that follows from it."""
        until = self.clock.now() + by
        await self.run_pending()
        while (at := self.next_due_at()) is not None and at <= until:
            if at <= self.clock.now():
                raise NeverSettles
            await self._advance_to(at)
        await self._advance_to(until)

    async def _advance_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())
        await self.run_pending()

    async def run_periodic_jobs(self) -> None:
        """Settle, and do what services do every few seconds: reconcile, match withdrawals, refresh gauges."""
        await self.settle()
        intake, kpi = self._find_service(Intake), self._find_service(Kpi)
        if intake is not None:
            await republish_once(intake)
        if self._dispatch is not None:
            async with self._dispatch.database.transaction() as connection:
                await match_withdrawals(connection, self._dispatch, self.clock.now())
        if kpi is not None:
            await refresh_gauges(kpi)
        await self.settle()

    async def count_unsettled(self) -> dict[str, int]:
        """What is not settled: in outboxes and on the bus, dead letters, demands without a case."""
        counts = {"bus": await self._bus.count_messages()}
        for service in self.process.services:
            counts[f"outbox of {service.name}"] = (await service.relay.measure_backlog())[0]
            async with service.database.snapshot() as connection:
                dead = await service.dead_letters.count_by_queue(connection)
                counts[f"dead letters of {service.name}"] = sum(dead.values())
                if isinstance(service, Intake):
                    unaccounted = await count_unaccounted_demands(connection, self.clock.now(), timedelta(0))
                    counts["demands without a case"] = unaccounted
        return {name: count for name, count in counts.items() if count}

    def _find_service(self, service_class: type[ServiceT]) -> ServiceT | None:
        return next(
            (service for service in self.process.services if isinstance(service, service_class)), None
        )
