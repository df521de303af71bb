"""The bus: one interface, on RabbitMQ or embedded in a database; the same handlers on both."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True):
    """What goes out: one event, or several of one type as a CloudEvents batch; `key` is the event type."""

    key: str
    body: bytes
    packed: bool
    public: bool = False


class Delivery(Struct, frozen=True, kw_only=True):
    """What comes in on a queue; `attempt` counts our own retries of it, from 0."""

    queue: str
    body: bytes
    attempt: int = 0
    headers: dict[str, str] = {}


Consumer = Callable[[Sequence[Delivery]], Awaitable[None]]
"""Consumes a batch; when it returns every delivery is settled, when it raises none is."""


class BusDown(Exception):
    """The broker does not answer; what was published may or may not have arrived."""


class Bus(Protocol):
    """Durable queues, at least once, no promise of order."""

    async def start(self, consumers: Mapping[str, Consumer], rests: Mapping[str, float] = {}) -> None:
        """Connect, declare the whole topology and begin to consume the named queues.

        `rests`: for how many seconds the consumer of a queue rests after each batch.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        """Return once durable: the positions of those refused. Raises `BusDown` where the broker is away."""
        ...

    async def retry(self, delivery: Delivery, body: bytes, seconds: int) -> None:
        """Deliver `body` on the delivery's queue again after a while, its attempt counted up."""
        ...

    async def ping(self) -> None:
        """A round trip, bounded in time. Raises `BusDown`."""
        ...

    async def pause(self) -> None:
        """Consume nothing new; finish what has begun."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...
