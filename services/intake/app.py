"""intake as a service."""

from collections.abc import Sequence
from functools import partial

from services.intake import api, handlers, jobs, queries
from services.intake.metrics import IntakeMetrics
from services.intake.models import messaging_tables, metadata
from services.intake.operations.acceptance import UNACCOUNTED_AFTER
from services.intake.operations.acceptor import Acceptor
from shared.http.endpoints import Endpoint
from shared.messaging.bus import Consumer, Delivery
from shared.messaging.consumer import Subscription, retry_while_unavailable
from shared.messaging.topology import INBOUND_QUEUE
from shared.service import Job, Service, ServiceContext


class Intake(Service):
    """Takes demands and facts and publishes them."""

    name = "intake"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.acceptor = Acceptor(
            self.database, self.outbox, self.clock, self.committed, self.settings.rate_limit
        )
        self._inbound = handlers.InboundConsumer(
            self.acceptor, self._store_dead_letters, self.clock, self.properties
        )
        self._own = IntakeMetrics(self.registry)

    def subscriptions(self) -> Sequence[Subscription]:
        return handlers.SUBSCRIPTIONS

    def raw_consumers(self) -> dict[str, Consumer]:
        return {INBOUND_QUEUE: self._take_inbound}

    def endpoints(self) -> Sequence[Endpoint]:
        return api.endpoints

    def jobs(self) -> Sequence[Job]:
        return [partial(jobs.reconcile, self)]

    async def finish(self) -> None:
        await self.acceptor.finish()

    async def measure(self) -> None:
        async with self.database.snapshot() as connection:
            count = await queries.count_unaccounted_demands(connection, self.clock.now(), UNACCOUNTED_AFTER)
        self._own.unaccounted.set(count)

    async def _take_inbound(self, deliveries: Sequence[Delivery]) -> None:
        await retry_while_unavailable(INBOUND_QUEUE, lambda: self._inbound.take(deliveries))

    async def _store_dead_letters(self, letters: Sequence[tuple[Delivery, str]]) -> None:
        async with self.database.transaction() as connection:
            await self.dead_letters.store(connection, letters)
