"""Consumes batches of deliveries for a service: decode, inbox, handler and effects in one transaction.

A bad member never spoils its batch: what fails together is halved until only the failing member is left, and
that one is retried or stored as a dead letter, with the reason. While the database is away the batch waits.
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
from shared.messaging.dead_letters import DeadLetters, RejectedDelivery
from shared.messaging.inbox import Inbox
from shared.messaging.topology import QUEUES, RETRY_SECONDS
from shared.telemetry import trace_work

_log = structlog.stdlib.get_logger(__name__)
_MAX_ATTEMPTS = 8
_MAX_BATCH = 500

Member = tuple[Event, Delivery]


class RetryLater(Exception):
    """Not now: what this event builds on is not here yet. Retried later, in the end a dead letter."""


Data = TypeVar("Data", bound=Struct)
Handler = Callable[[AsyncConnection, Sequence[Event[Data]]], Awaitable[None]]
"""`handle(connection, events)`: a batch's fresh events, in the transaction that puts them into the inbox."""


VersionedHandler = Callable[[Sequence[Event[Data]]], Awaitable[None]]
"""`handle(events)`: a batch, in transactions of its own, by which a repetition changes nothing."""


@dataclass(frozen=True)
class Subscription(Generic[Data]):
    """A service consumes `queue`; which events are routed to it stands in the topology.

    What guards it from repetitions is the inbox, in the transaction of `handle`, or what `handle_versioned`
    does itself. `rest` is how many seconds it may let pass between two batches, where nobody waits for it.
    """

    queue: str
    handle: Handler[Data] | None = None
    handle_versioned: VersionedHandler[Data] | None = None
    rest: float = 0.0


class ConsumerHost(Protocol):
    """What a consumer needs of its service."""

    database: Database
    inbox: Inbox
    dead_letters: DeadLetters

    @property
    def bus(self) -> Bus:
        """What retries are sent by."""
        ...


class EventConsumer:
    """The consumer of one subscription."""

    def __init__(self, host: ConsumerHost, subscription: Subscription[Any]) -> None:
        self._host = host
        self._subscription = subscription
        self._types = QUEUES[subscription.queue]

    async def consume(self, deliveries: Sequence[Delivery]) -> None:
        """Settle every delivery: its events are handled, stored as dead letters, or sent to be retried."""
        members: list[Member] = []
        rejected: list[RejectedDelivery] = []
        for delivery in deliveries:
            try:
                decoded = [(event, delivery) for event in decode_events(delivery.body)]
            except (msgspec.DecodeError, UnicodeDecodeError):
                decoded = _decode_one_by_one(delivery, rejected)
            members += [member for member in decoded if isinstance(member[0].data, self._types)]
            while len(members) >= _MAX_BATCH:  # each has up to a hundred: not all of them in memory at once
                await self._handle_batch(members[:_MAX_BATCH])
                del members[:_MAX_BATCH]
        if rejected:
            await self._store_dead_letters(rejected)
        if members:
            await self._handle_batch(members)

    async def _handle_batch(self, members: Sequence[Member]) -> None:
        events = [event for event, _ in members]
        try:
            await retry_while_unavailable(self._subscription.queue, lambda: self._handle_events(events))
        except Exception as error:
            if len(members) == 1:
                await self._retry_or_store(*members[0], error)
                return
            half = len(members) // 2
            await self._handle_batch(members[:half])
            await self._handle_batch(members[half:])

    async def _handle_events(self, events: Sequence[Event]) -> None:
        queue, trace = self._subscription.queue, events[0].trace if len(events) == 1 else None
        with trace_work(queue, trace, SpanKind.CONSUMER):
            if self._subscription.handle_versioned is not None:
                await self._subscription.handle_versioned(events)
            if self._subscription.handle is not None:
                await self._handle_fresh(self._subscription.handle, events)

    async def _handle_fresh(self, handle: Handler[Any], events: Sequence[Event]) -> None:
        async with self._host.database.transaction() as connection:
            fresh = await self._host.inbox.once(connection, self._subscription.queue, events)
            if fresh:
                await handle(connection, fresh)

    async def _retry_or_store(self, event: Event, delivery: Delivery, error: Exception) -> None:
        body, queue = encode(event), delivery.queue
        if isinstance(error, RetryLater) and delivery.attempt + 1 < _MAX_ATTEMPTS:
            seconds = RETRY_SECONDS[min(delivery.attempt, len(RETRY_SECONDS) - 1)]
            await retry_while_unavailable(queue, lambda: self._host.bus.retry(delivery, body, seconds))
            return
        kind = type(error).__name__
        _log.warning("event set aside", queue=queue, type=event.type, error=kind, exc_info=error)
        await self._store_dead_letters([(msgspec.structs.replace(delivery, body=body), reason_for(error))])

    async def _store_dead_letters(self, rejected: Sequence[RejectedDelivery]) -> None:
        async def store() -> None:
            async with self._host.database.transaction() as connection:
                await self._host.dead_letters.store(connection, rejected)

        await retry_while_unavailable(self._subscription.queue, store)


def _decode_one_by_one(delivery: Delivery, rejected: list[RejectedDelivery]) -> list[Member]:
    """The events of a delivery that can be read; those that can't are added to `rejected`."""
    members: list[Member] = []
    try:
        bodies = split_batch(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        bodies = [delivery.body]
    for body in bodies:
        try:
            members.append((decode(body), delivery))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            rejected.append((msgspec.structs.replace(delivery, body=body), reason_for(error)))
    return members


def reason_for(error: Exception) -> str:
    """Why an event can't be handled, without its contents."""
    if isinstance(error, Problem):
        fields = "; ".join(f"{e.path}: {e.message}" for e in error.errors)
        return f"{error.code}: {fields or error.detail or error.title}"
    if isinstance(error, msgspec.ValidationError):
        field = field_error(error)
        return f"not-valid: {field.path}: {field.message}"
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return "unreadable: this is not JSON in UTF-8"
    return f"Retry: {error}" if isinstance(error, RetryLater) else type(error).__name__
