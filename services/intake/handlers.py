"""Handles events from RabbitMQ, checked as strictly as over HTTP, and the states of the cases of demands."""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.domain.incoming_event import Envelope, EventContext, IncomingEvent, read_event
from services.intake.operations.context import IntakeContext
from services.intake.operations.demand_progress import save_case_states
from shared.errors import Problem, TooLarge, WrongMediaType
from shared.http.json_input import convert, read_json
from shared.http.requests import BODY_LIMIT
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState
from shared.messaging.availability import retry_while_unavailable
from shared.messaging.bus import Delivery
from shared.messaging.consumer import Subscription, reason_for
from shared.messaging.dead_letters import DeadLetters, RejectedDelivery
from shared.messaging.topology import INBOUND_QUEUE

_log = structlog.stdlib.get_logger(__name__)
STRUCTURED = "application/cloudevents+json"


async def handle_case_events(connection: AsyncConnection, events: Sequence[Event[CaseState]]) -> None:
    """Save the states that cases have come to."""
    await save_case_states(connection, [event.data for event in events])


SUBSCRIPTIONS: tuple[Subscription[Any], ...] = (Subscription("intake.cases", handle_case_events, rest=0.25),)
"""The queues of intake whose events are ours."""


class InboundConsumer:
    """The consumer of the queue that other systems publish to."""

    def __init__(self, context: IntakeContext, dead_letters: DeadLetters) -> None:
        self._context = context
        self._dead_letters = dead_letters

    async def consume(self, deliveries: Sequence[Delivery]) -> None:
        """Accept what is valid, store the rest as dead letters with the reason."""
        await retry_while_unavailable(INBOUND_QUEUE, lambda: self._accept(deliveries))

    async def _accept(self, deliveries: Sequence[Delivery]) -> None:
        rejected: list[RejectedDelivery] = []
        incoming: list[tuple[Delivery, IncomingEvent]] = []
        for delivery in deliveries:
            try:
                incoming.append((delivery, self._decode(delivery)))
            except Problem as problem:
                rejected.append((delivery, reason_for(problem)))
        results = await self._context.acceptor.accept_when_possible([event for _, event in incoming])
        for (delivery, _), result in zip(incoming, results, strict=True):
            if isinstance(result, Exception):
                rejected.append((delivery, reason_for(result)))
        if rejected:
            _log.warning("events set aside", count=len(rejected), queue=INBOUND_QUEUE)
            async with self._context.database.transaction() as connection:
                await self._dead_letters.store(connection, rejected)

    def _decode(self, delivery: Delivery) -> IncomingEvent:
        kind = delivery.headers.get("content-type", STRUCTURED).partition(";")[0].strip().lower()
        if kind not in (STRUCTURED, "application/json"):
            raise WrongMediaType
        if len(delivery.body) > BODY_LIMIT:
            raise TooLarge
        envelope = convert(read_json(delivery.body), Envelope)
        context = self._context
        return read_event(
            envelope,
            EventContext(
                by="amqp", now=context.clock.now(), properties=context.properties, kinds=context.kinds
            ),
        )
