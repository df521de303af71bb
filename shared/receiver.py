"""Takes sets of deliveries for a service: decode, inbox, handler and effects in one transaction, dead letters beside.

A bad member never spoils its set: what fails together is tried one by one, and only the failing one is set aside.
While the database is away the set is held, not thrown about.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct
from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.bus import Bus, BusDown, Delivery
from shared.bus.topology import RETRY_SECONDS
from shared.database import Database, is_transient
from shared.dead_letters import DeadLetters
from shared.errors import Problem
from shared.inbox import Inbox
from shared.messages import Event, decode_any, encode
from shared.telemetry import traced

_log = structlog.get_logger(__name__)
_ATTEMPTS = 8


class Retry(Exception):
    """Not now: what this event builds on is not here yet. Tried again later, then given up to the dead letters."""


Handler = Callable[[Any, AsyncConnection, Sequence[Event]], Awaitable[None]]
"""`handle(service, connection, events)`: the fresh events of a set, within the transaction that marks them as taken."""


class Subscription(Struct, frozen=True):
    """What a service listens to on one queue."""

    queue: str
    types: tuple[type[Struct], ...]
    handle: Handler


class Host(Protocol):
    """What a receiver needs of its service."""

    database: Database
    inbox: Inbox
    dead_letters: DeadLetters
    bus: Bus

    def committed(self) -> None:
        """Effects were committed: there may be something to relay."""
        ...


class Receiver:
    """The consumer of one subscription."""

    def __init__(self, host: Host, subscription: Subscription) -> None:
        self._host = host
        self._subscription = subscription

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Settle every delivery: effected, buried, or sent to be retried."""
        unreadable: list[tuple[Delivery, str]] = []
        events: list[tuple[Event, Delivery]] = []
        for delivery in deliveries:
            try:
                events += [(event, delivery) for event in decode_any(delivery.body)]
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                unreadable.append((delivery, f"not readable: {error}"))
        wanted = [(event, d) for event, d in events if isinstance(event.data, self._subscription.types)]
        if unreadable:
            await self._bury(unreadable)
        if wanted:
            await self._effect(wanted)

    async def _effect(self, members: Sequence[tuple[Event, Delivery]]) -> None:
        try:
            await patiently(
                self._subscription.queue, lambda: self._transaction([event for event, _ in members])
            )
        except Exception as error:
            if len(members) > 1:
                for member in members:
                    await self._effect([member])
                return
            await self._set_aside(*members[0], error)

    async def _transaction(self, events: Sequence[Event]) -> None:
        with traced(
            self._subscription.queue, events[0].trace if len(events) == 1 else None, SpanKind.CONSUMER
        ):
            async with self._host.database.begin() as connection:
                fresh = await self._host.inbox.once(connection, self._subscription.queue, events)
                if fresh:
                    await self._subscription.handle(self._host, connection, fresh)
            self._host.committed()

    async def _set_aside(self, event: Event, delivery: Delivery, error: Exception) -> None:
        body = encode(event)
        if isinstance(error, Retry) and delivery.attempt + 1 < _ATTEMPTS:
            seconds = RETRY_SECONDS[min(delivery.attempt, len(RETRY_SECONDS) - 1)]
            await patiently(self._subscription.queue, lambda: self._host.bus.retry(delivery, body, seconds))
            return
        _log.warning(
            "event set aside",
            queue=delivery.queue,
            type=event.type,
            error=type(error).__name__,
            exc_info=error,
        )
        alone = Delivery(queue=delivery.queue, body=body, attempt=delivery.attempt, headers=delivery.headers)
        await self._bury([(alone, reason_of(error))])

    async def _bury(self, letters: Sequence[tuple[Delivery, str]]) -> None:
        async def bury() -> None:
            async with self._host.database.begin() as connection:
                await self._host.dead_letters.bury(connection, letters)

        await patiently(self._subscription.queue, bury)


async def patiently(queue: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, again and again while the broker or the database that it needs is away."""
    pause = 0.1
    while True:
        try:
            await work()
            return
        except Exception as error:
            if not is_passing(error):
                raise
            _log.warning("waiting", queue=queue, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)


def is_passing(error: BaseException) -> bool:
    """Whether the cause lies with the broker or the database, not with the event."""
    return isinstance(error, BusDown) or is_transient(error)


def reason_of(error: Exception) -> str:
    """Why an event was set aside, without its contents."""
    if isinstance(error, Problem):
        told = "; ".join(f"{e.path}: {e.message}" for e in error.errors)
        return f"{error.code}: {told or error.detail or error.title}"
    if isinstance(error, Retry | msgspec.ValidationError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
