"""What intake hears: events from RabbitMQ, as strictly as over HTTP, and what became of its demands."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.domain.incoming_event import Envelope, IncomingEvent, read_event
from services.intake.operations import acceptance
from services.intake.operations.acceptor import Acceptor
from shared.clock import Clock
from shared.errors import Problem, TooLarge, WrongMediaType
from shared.http.endpoints import BODY_LIMIT
from shared.http.json_input import decode, sanitize
from shared.messages.cloudevents import Event
from shared.messages.events import CaseChanged, CaseClosed, CaseOpened
from shared.messaging.bus import Delivery
from shared.messaging.consumer import Subscription, reason_for

_log = structlog.get_logger(__name__)
STRUCTURED = "application/cloudevents+json"
StoreDeadLetters = Callable[[Sequence[tuple[Delivery, str]]], Awaitable[None]]


async def handle_case_events(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Note what became of demands."""
    await acceptance.save_case_states(connection, [event.data for event in events], service.clock.now())


SUBSCRIPTIONS = [Subscription("intake.cases", (CaseOpened, CaseChanged, CaseClosed), handle_case_events)]


class InboundConsumer:
    """The consumer of the queue that other systems publish to."""

    def __init__(
        self, acceptor: Acceptor, bury: StoreDeadLetters, clock: Clock, properties: Mapping[str, Any]
    ) -> None:
        self._acceptor = acceptor
        self._store_dead_letters = bury
        self._clock = clock
        self._properties = properties

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Accept what can be taken, bury the rest with the reason."""
        letters: list[tuple[Delivery, str]] = []
        offers: list[tuple[Delivery, IncomingEvent]] = []
        for delivery in deliveries:
            try:
                offers.append((delivery, self._read(delivery)))
            except Problem as problem:
                letters.append((delivery, reason_for(problem)))
        answers = await self._acceptor.accept_all([offer for _, offer in offers])
        for (delivery, _), answer in zip(offers, answers, strict=True):
            if isinstance(answer, Exception):
                letters.append((delivery, reason_for(answer)))
        if letters:
            _log.warning("events set aside", count=len(letters), queue=letters[0][0].queue)
            await self._store_dead_letters(letters)

    def _read(self, delivery: Delivery) -> IncomingEvent:
        kind = delivery.headers.get("content-type", STRUCTURED).partition(";")[0].strip().lower()
        if kind not in (STRUCTURED, "application/json"):
            raise WrongMediaType
        if len(delivery.body) > BODY_LIMIT:
            raise TooLarge
        envelope: Envelope = decode(sanitize(delivery.body), Envelope)
        return read_event(envelope, by="amqp", now=self._clock.now(), properties=self._properties)
