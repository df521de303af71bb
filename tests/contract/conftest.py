"""Backends where a bus keeps its queues, and consumers that record their batches."""

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
class BusBackend:
    """Where the queues are; every bus made here is another copy on the same ones."""

    kind: str
    url: str
    folder: Path
    buses: list[Bus] = field(default_factory=list)

    def bus(self) -> Bus:
        """Another copy of the bus, not started yet."""
        if self.kind == "rabbitmq":
            bus: Bus = RabbitBus(self.url)
        else:
            bus = EmbeddedBus(Database("bus", self.url, self.folder), SystemClock())
        self.buses.append(bus)
        return bus

    async def start_bus(self, consumers: Mapping[str, Consumer] | None = None) -> Bus:
        """Another copy of the bus that consumes those queues; it is connected."""
        bus = self.bus()
        await bus.start(consumers or {})
        await eventually(lambda: answers_ping(bus), within=30)
        return bus

    @asynccontextmanager
    async def behind_proxy(self) -> AsyncIterator[tuple["BusBackend", FaultProxy]]:
        """The same backend through a proxy that can be cut."""
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        async with FaultProxy(parts.hostname, parts.port) as proxy:
            login = parts.netloc.rpartition("@")[0]
            url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))
            proxied = BusBackend(self.kind, url, self.folder)
            try:
                yield proxied, proxy
            finally:
                await proxied.close()

    async def close(self) -> None:
        """Stop every copy that was made."""
        await asyncio.gather(*(bus.stop() for bus in self.buses))


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Kind → the URL for the tests of a module; RabbitMQ's queues take seconds to be declared."""
    with ExitStack() as stack:
        yield BackendUrls(stack)


class BackendUrls(dict[str, str]):
    """Made when they are first used."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(sqlite="")
        self._stack = stack

    def __missing__(self, kind: str) -> str:
        self[kind] = self._stack.enter_context(fresh_vhost() if kind == "rabbitmq" else fresh_database())
        return self[kind]


@pytest.fixture
async def backend(
    request: pytest.FixtureRequest, urls: dict[str, str], tmp_path: Path
) -> AsyncIterator[BusBackend]:
    """An empty backend of the test's kind."""
    kind: str = request.param
    backend = BusBackend(kind, urls[kind], tmp_path)
    yield backend
    await backend.close()
    await empty_queues(backend)


async def empty_queues(backend: BusBackend) -> None:
    """Leave nothing for the next test."""
    if backend.kind == "postgresql":
        await fetch_rows(backend.url, "DROP SCHEMA IF EXISTS bus CASCADE")
    if backend.kind == "rabbitmq":
        connection = await aio_pika.connect(backend.url)
        async with connection, connection.channel() as channel:
            for name in (*QUEUES, INBOUND_QUEUE):
                for suffix in ("", ".dead", *(f".retry.{seconds}" for seconds in RETRY_SECONDS)):
                    queue = await channel.get_queue(f"{name}{suffix}", ensure=False)
                    await queue.purge()


async def answers_ping(bus: Bus) -> bool:
    """That its broker answers, for waiting."""
    await bus.ping()
    return True


class RecordingConsumer:
    """A consumer that records its batches, and can be blocked or made to fail."""

    def __init__(self, *, failures: int = 0, blocked: bool = False) -> None:
        self.batches: list[list[Delivery]] = []
        self.settled: list[bytes] = []
        self.failures = failures
        self.released = asyncio.Event()
        if not blocked:
            self.released.set()

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self.batches.append(list(deliveries))
        await self.released.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not this time")
        self.settled += [delivery.body for delivery in deliveries]

    @property
    def deliveries(self) -> list[Delivery]:
        """All that came, in its order."""
        return [delivery for batch in self.batches for delivery in batch]

    async def wait_until_settled(self, count: int, within: float = 10) -> None:
        """Wait until so many were settled."""

        async def number() -> int:
            return len(self.settled)

        await eventually(number, lambda seen: seen == count, within=within)

    async def count_batches(self) -> int:
        """How many batches came, for waiting."""
        return len(self.batches)


def make_messages(*bodies: bytes, key: str = ACCEPTED) -> list[Message]:
    """A message for each body."""
    return [Message(key=key, body=body, packed=False) for body in bodies]


def numbered_bodies(count: int) -> list[bytes]:
    """Bodies that can be values apart."""
    return [b"%d" % number for number in range(count)]
