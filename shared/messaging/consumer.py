"""Takes batches of deliveries for a service: decode, inbox, handler and effects in one transaction.

A bad member never spoils its batch: what fails together is halved until only the failing one is set aside,
with the reason, in the dead letters. While the database is away the batch waits.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog
from msgspec import Struct
from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.engine import Database
from shared.errors import Problem
from shared.http.json_input import field_error
from shared.messages.cloudevents import Event, decode, decode_events, encode, split_batch
from shared.messaging.availability import retry_while_unavailable
from shared.messaging.bus import Bus, Delivery
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.messaging.topology import QUEUES, RETRY_SECONDS
from shared.telemetry import traced

_log = structlog.stdlib.get_logger(__name__)
_ATTEMPTS = 8
_BATCH = 500

Member = tuple[Event, Delivery]
DeadLetter = tuple[Delivery, str]


class RetryLater(Exception):
    """Not now: what this event builds on is not here yet. Tried again later, in the end a dead letter."""


Data = TypeVar("Data", bound=Struct)
Handler = Callable[[AsyncConnection, Sequence[Event[Data]]], Awaitable[None]]
"""`handle(connection, events)`: a batch's fresh events, in the transaction that marks them as taken."""


@dataclass(frozen=True)
class Subscription(Generic[Data]):
    """A service listens to `queue`; which events come to it is told by the topology."""

    queue: str
    handle: Handler[Data]


class ConsumerHost(Protocol):
    """What a consumer needs of its service."""

    database: Database
    outbox: Outbox
    inbox: Inbox
    dead_letters: DeadLetters
    bus: Bus

    def committed(self) -> None:
        """Events were committed, to be relayed."""
        ...


class EventConsumer:
    """The consumer of one subscription."""

    def __init__(self, host: ConsumerHost, subscription: Subscription[Any]) -> None:
        self._host = host
        self._subscription = subscription
        self._types = QUEUES[subscription.queue]

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Settle every delivery: effected, kept as a dead letter, or sent to be retried."""
        members: list[Member] = []
        letters: list[DeadLetter] = []
        for delivery in deliveries:
            try:
                members += [(event, delivery) for event in decode_events(delivery.body)]
            except (msgspec.DecodeError, UnicodeDecodeError):
                _read_one_by_one(delivery, members, letters)
        if letters:
            await self._store_dead_letters(letters)
        own = [member for member in members if isinstance(member[0].data, self._types)]
        for start in range(0, len(own), _BATCH):
            await self._take_effect(own[start : start + _BATCH])

    async def _take_effect(self, members: Sequence[Member]) -> None:
        events = [event for event, _ in members]
        try:
            await retry_while_unavailable(self._subscription.queue, lambda: self._transaction(events))
        except Exception as error:
            if len(members) == 1:
                await self._set_aside(*members[0], error)
                return
            half = len(members) // 2
            await self._take_effect(members[:half])
            await self._take_effect(members[half:])

    async def _transaction(self, events: Sequence[Event]) -> None:
        queue, trace = self._subscription.queue, events[0].trace if len(events) == 1 else None
        with traced(queue, trace, SpanKind.CONSUMER):
            recorded = self._host.outbox.recorded
            async with self._host.database.transaction() as connection:
                fresh = await self._host.inbox.once(connection, queue, events)
                if fresh:
                    await self._subscription.handle(connection, fresh)
            if self._host.outbox.recorded != recorded:  # by this transaction, or by one beside it
                self._host.committed()

    async def _set_aside(self, event: Event, delivery: Delivery, error: Exception) -> None:
        body, queue = encode(event), delivery.queue
        if isinstance(error, RetryLater) and delivery.attempt + 1 < _ATTEMPTS:
            seconds = RETRY_SECONDS[min(delivery.attempt, len(RETRY_SECONDS) - 1)]
            await retry_while_unavailable(queue, lambda: self._host.bus.retry(delivery, body, seconds))
            return
        kind = type(error).__name__
        _log.warning("event set aside", queue=queue, type=event.type, error=kind, exc_info=error)
        await self._store_dead_letters([(msgspec.structs.replace(delivery, body=body), reason_for(error))])

    async def _store_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        async def store() -> None:
            async with self._host.database.transaction() as connection:
                await self._host.dead_letters.store(connection, letters)

        await retry_while_unavailable(self._subscription.queue, store)


def _read_one_by_one(delivery: Delivery, members: list[Member], letters: list[DeadLetter]) -> None:
    """Sort the events of a delivery into those that can be read and those that can't."""
    try:
        bodies = split_batch(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        bodies = [delivery.body]
    for body in bodies:
        try:
            members.append((decode(body), delivery))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            letters.append((msgspec.structs.replace(delivery, body=body), reason_for(error)))


def reason_for(error: Exception) -> str:
    """Why an event was set aside, without its contents."""
    if isinstance(error, Problem):
        told = "; ".join(f"{e.path}: {e.message}" for e in error.errors)
        return f"{error.code}: {told or error.detail or error.title}"
    if isinstance(error, msgspec.ValidationError):
        wrong = field_error(error)
        return f"not-valid: {wrong.path}: {wrong.message}"
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return "unreadable: this is not JSON in UTF-8"
    return f"Retry: {error}" if isinstance(error, RetryLater) else type(error).__name__
