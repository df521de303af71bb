"""intake as a service."""

from collections.abc import Sequence
from functools import partial

from services.intake import api, handlers, jobs, queries
from services.intake.doors import Doors
from services.intake.metrics import IntakeGauges
from services.intake.models import mechanism, metadata
from services.intake.operations import UNACCOUNTED_AFTER
from shared.bus import Consumer, Delivery
from shared.bus.topology import INBOUND_QUEUE
from shared.receiver import Subscription, patiently
from shared.service import Job, Service, Surroundings
from shared.web import Endpoint


class Intake(Service):
    """Takes demands and facts and publishes them."""

    name = "intake"
    metadata = metadata
    mechanism = mechanism

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.doors = Doors(self.database, self.outbox, self.clock, self.committed, self.settings.rate_limit)
        self._inbound = handlers.InboundDoor(self.doors, self._bury, self.clock, self.properties)
        self._own = IntakeGauges(self.registry)

    def subscriptions(self) -> Sequence[Subscription]:
        return handlers.SUBSCRIPTIONS

    def raw_consumers(self) -> dict[str, Consumer]:
        return {INBOUND_QUEUE: self._take_inbound}

    def endpoints(self) -> Sequence[Endpoint]:
        return api.endpoints

    def jobs(self) -> Sequence[Job]:
        return [partial(jobs.reconcile, self)]

    async def finish(self) -> None:
        await self.doors.finish()

    async def measure(self) -> None:
        async with self.database.read() as connection:
            count = await queries.unaccounted(connection, self.clock.now(), UNACCOUNTED_AFTER)
        self._own.unaccounted.set(count)

    async def _take_inbound(self, deliveries: Sequence[Delivery]) -> None:
        await patiently(INBOUND_QUEUE, lambda: self._inbound.take(deliveries))

    async def _bury(self, letters: Sequence[tuple[Delivery, str]]) -> None:
        async with self.database.begin() as connection:
            await self.dead_letters.bury(connection, letters)
