"""What intake hears: events from RabbitMQ, as strictly as over HTTP, and what became of its demands."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake import operations
from services.intake.doors import Doors
from services.intake.offers import Envelope, Offer, read_event
from shared.bus import Delivery
from shared.clock import Clock
from shared.errors import Problem, TooLarge, WrongMediaType
from shared.messages import CaseChanged, CaseClosed, CaseOpened, Event
from shared.reading import cleaned, decoded
from shared.receiver import Subscription, reason_of
from shared.web import BODY_LIMIT

_log = structlog.get_logger(__name__)
STRUCTURED = "application/cloudevents+json"
Bury = Callable[[Sequence[tuple[Delivery, str]]], Awaitable[None]]


async def take_cases(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Note what became of demands."""
    await operations.follow_cases(connection, [event.data for event in events], service.clock.now())


SUBSCRIPTIONS = [Subscription("intake.cases", (CaseOpened, CaseChanged, CaseClosed), take_cases)]


class InboundDoor:
    """The consumer of the queue that other systems publish to."""

    def __init__(self, doors: Doors, bury: Bury, clock: Clock, properties: Mapping[str, Any]) -> None:
        self._doors = doors
        self._bury = bury
        self._clock = clock
        self._properties = properties

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Accept what can be taken, bury the rest with the reason."""
        letters: list[tuple[Delivery, str]] = []
        offers: list[tuple[Delivery, Offer]] = []
        for delivery in deliveries:
            try:
                offers.append((delivery, self._read(delivery)))
            except Problem as problem:
                letters.append((delivery, reason_of(problem)))
        answers = await self._doors.accept_all([offer for _, offer in offers])
        for (delivery, _), answer in zip(offers, answers, strict=True):
            if isinstance(answer, Exception):
                letters.append((delivery, reason_of(answer)))
        if letters:
            _log.warning("events set aside", count=len(letters), queue=letters[0][0].queue)
            await self._bury(letters)

    def _read(self, delivery: Delivery) -> Offer:
        kind = delivery.headers.get("content-type", STRUCTURED).partition(";")[0].strip().lower()
        if kind not in (STRUCTURED, "application/json"):
            raise WrongMediaType
        if len(delivery.body) > BODY_LIMIT:
            raise TooLarge
        envelope: Envelope = decoded(cleaned(delivery.body), Envelope)
        return read_event(envelope, by="amqp", now=self._clock.now(), properties=self._properties)
