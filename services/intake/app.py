"""intake as a service."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from services.intake import api, handlers, jobs, queries
from services.intake.metrics import IntakeMetrics
from services.intake.models import messaging_tables, metadata
from services.intake.operations.acceptor import Acceptor
from services.intake.operations.publication import AcceptedEvents
from services.intake.operations.retention import make_bites
from shared.http.endpoints import Endpoint
from shared.http.rate_limit import RateLimiter
from shared.messaging.bus import Consumer
from shared.messaging.consumer import Subscription
from shared.messaging.topology import INBOUND_QUEUE
from shared.service import Job, Service, ServiceContext


class Intake(Service):
    """Accepts demands and facts and publishes them."""

    name = "intake"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.acceptor = Acceptor(self.database, self.outbox, self.clock)
        self.relay.sources.append(AcceptedEvents())
        self.housekeeping.bites += make_bites(self)
        self.rate_limiter = RateLimiter(self.settings.rate_limit)
        self._inbound = handlers.InboundConsumer(self, self.dead_letters)
        self._metrics = IntakeMetrics(self.registry)

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        return handlers.SUBSCRIPTIONS

    def raw_consumers(self) -> dict[str, Consumer]:
        return {INBOUND_QUEUE: self._inbound.consume}

    def endpoints(self) -> Sequence[Endpoint]:
        return api.endpoints

    def jobs(self) -> Sequence[Job]:
        return [
            partial(jobs.republish_for_ever, self),
            partial(jobs.watch_backlog_for_ever, self.acceptor, self.relay),
        ]

    async def release(self) -> None:
        await self.acceptor.finish()

    async def update_gauges(self) -> None:
        async with self.database.snapshot() as connection:
            count = await queries.count_unaccounted_demands(connection, self.clock.now())
        self._metrics.unaccounted.set(count)
