"""Places where a bus keeps its queues, and consumers that remember what they took."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import pytest

from shared.clock import SystemClock
from shared.database.engine import Database
from shared.messaging.bus import Bus, Consumer, Delivery, Message
from shared.messaging.embedded import EmbeddedBus
from shared.messaging.rabbitmq import RabbitBus
from shared.messaging.topology import INBOUND_QUEUE, QUEUES, RETRY_SECONDS
from tests.support.proxy import FaultProxy
from tests.support.stores import fetch_rows, fresh_database, fresh_vhost
from tests.support.waiting import eventually

DEMANDS = "dispatch.demands"
ACCEPTED = "guanjia.demand.accepted.v1"


@dataclass
class Place:
    """Where the queues are; every bus made here is another copy on the same ones."""

    kind: str
    url: str
    folder: Path
    made: list[Bus] = field(default_factory=list)

    def bus(self) -> Bus:
        """Another copy, not started yet."""
        if self.kind == "rabbitmq":
            bus: Bus = RabbitBus(self.url)
        else:
            bus = EmbeddedBus(Database("bus", self.url, self.folder), SystemClock())
        self.made.append(bus)
        return bus

    async def started(self, consumers: Mapping[str, Consumer] | None = None) -> Bus:
        """Another copy that consumes those queues; it is connected."""
        bus = self.bus()
        await bus.start(consumers or {})
        await eventually(lambda: pings(bus), within=30)
        return bus

    @asynccontextmanager
    async def behind_a_proxy(self) -> AsyncIterator[tuple["Place", FaultProxy]]:
        """The same place by a way that can be cut."""
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        async with FaultProxy(parts.hostname, parts.port) as proxy:
            login = parts.netloc.rpartition("@")[0]
            url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))
            there = Place(self.kind, url, self.folder)
            try:
                yield there, proxy
            finally:
                await there.close()

    async def close(self) -> None:
        """Stop every copy that was made."""
        await asyncio.gather(*(bus.stop() for bus in self.made))


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Kind → where the places of a module's tests are; RabbitMQ's queues take seconds to be declared."""
    with ExitStack() as stack:
        yield Urls(stack)


class Urls(dict[str, str]):
    """Made when they are first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(sqlite="")
        self._stack = stack

    def __missing__(self, kind: str) -> str:
        self[kind] = self._stack.enter_context(fresh_vhost() if kind == "rabbitmq" else fresh_database())
        return self[kind]


@pytest.fixture
async def place(request: pytest.FixtureRequest, urls: dict[str, str], tmp_path: Path) -> AsyncIterator[Place]:
    """An empty place for queues, of the kind that the test asks for."""
    kind: str = request.param
    found = Place(kind, urls[kind], tmp_path)
    yield found
    await found.close()
    await emptied(found)


async def emptied(place: Place) -> None:
    """Leave nothing for the next test."""
    if place.kind == "postgresql":
        await fetch_rows(place.url, "DROP SCHEMA IF EXISTS bus CASCADE")
    if place.kind == "rabbitmq":
        connection = await aio_pika.connect(place.url)
        async with connection, connection.channel() as channel:
            for name in (*QUEUES, INBOUND_QUEUE):
                for suffix in ("", ".dead", *(f".retry.{seconds}" for seconds in RETRY_SECONDS)):
                    queue = await channel.get_queue(f"{name}{suffix}", ensure=False)
                    await queue.purge()


async def pings(bus: Bus) -> bool:
    """That its broker answers, for waiting."""
    await bus.ping()
    return True


class Taker:
    """A consumer that remembers its sets, and can be held or made to fail."""

    def __init__(self, *, failures: int = 0, held: bool = False) -> None:
        self.sets: list[list[Delivery]] = []
        self.settled: list[bytes] = []
        self.failures = failures
        self.released = asyncio.Event()
        if not held:
            self.released.set()

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self.sets.append(list(deliveries))
        await self.released.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not this time")
        self.settled += [delivery.body for delivery in deliveries]

    @property
    def deliveries(self) -> list[Delivery]:
        """All that came, in its order."""
        return [delivery for taken in self.sets for delivery in taken]

    async def has_settled(self, count: int, within: float = 10) -> None:
        """Wait until so many were settled."""

        async def number() -> int:
            return len(self.settled)

        await eventually(number, lambda seen: seen == count, within=within)

    async def number_of_sets(self) -> int:
        """How many sets came, for waiting."""
        return len(self.sets)


def messages(*bodies: bytes, key: str = ACCEPTED) -> list[Message]:
    """A message for each body."""
    return [Message(key=key, body=body, packed=False) for body in bodies]


def numbered(count: int) -> list[bytes]:
    """Bodies that can be told apart."""
    return [b"%d" % number for number in range(count)]
