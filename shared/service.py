"""What every service is made of: database, outbox, inbox, relay, subscriptions, jobs, endpoints, one life."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import structlog
from msgspec import Struct, structs
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import Keyring, Secret
from shared.clock import Clock
from shared.database.engine import Database
from shared.database.migrations import upgrade
from shared.errors import Unavailable
from shared.http import openapi
from shared.http.endpoints import Call, Endpoint, Reply
from shared.messages import asyncapi
from shared.messages.cloudevents import Event
from shared.messages.events import KeyRevoked
from shared.messaging.bus import Bus, BusDown, Consumer, Delivery
from shared.messaging.consumer import EventConsumer, Subscription, retry_while_unavailable
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.inbox import Inbox
from shared.messaging.metrics import MessagingMetrics
from shared.messaging.outbox import Outbox
from shared.messaging.relay import Relay
from shared.messaging.tables import MessagingTables
from shared.messaging.topology import INBOUND_QUEUE, QUEUES
from shared.properties.property import Property
from shared.settings import Settings

VERSION = "0.1.0"
_log = structlog.get_logger(__name__)
_INBOX_KEEP = timedelta(days=30)
_CLEAN_SECONDS = 60
_KEYS_SECONDS = 1.0

Job = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class ServiceContext:
    """What a process gives to the services in it."""

    settings: Settings
    clock: Clock
    bus: Bus
    secret: Secret
    keyring: Keyring
    properties: Mapping[str, Property]


class Health(Struct):
    """How a service is."""

    status: str
    service: str


class Service:
    """Base of the four services. A subclass names itself and its tables, and adds what is its own."""

    name: ClassVar[str]
    metadata: ClassVar[MetaData]
    messaging_tables: ClassVar[MessagingTables]

    def __init__(self, context: ServiceContext) -> None:
        self.settings = context.settings
        self.clock = context.clock
        self.bus = context.bus
        self.secret = context.secret
        self.keyring = context.keyring
        self.properties = context.properties
        self.database = Database(self.name, context.settings.database_url, context.settings.data_dir)
        self.outbox = Outbox(self.messaging_tables.outbox, context.clock)
        self.inbox = Inbox(self.messaging_tables.inbox, context.clock)
        self.dead_letters = DeadLetters(self.messaging_tables.dead_letters, context.clock)
        self.relay = Relay(self.database, self.outbox, context.bus, context.clock)
        self.registry = CollectorRegistry()
        self._gauges = MessagingMetrics(self.registry)
        self._tasks: list[asyncio.Task[None]] = []
        self.leaving = asyncio.Event()
        self.ready = False

    # What a subclass adds.

    def subscriptions(self) -> Sequence[Subscription]:
        """What it listens to."""
        return ()

    def endpoints(self) -> Sequence[Endpoint]:
        """What it answers over HTTP."""
        return ()

    def pages(self) -> Sequence[Any]:
        """Starlette routes for people."""
        return ()

    def jobs(self) -> Sequence[Job]:
        """Coroutines that run for as long as the service does."""
        return ()

    async def prepare(self) -> None:
        """Make ready, after the migrations and before anything is taken."""

    async def finish(self) -> None:
        """Let go of what `prepare` and the jobs hold."""

    async def measure(self) -> None:
        """Bring the service's own gauges up to date, before a scrape."""

    def written_metrics(self) -> bytes:
        """Metrics beside the registry's that are kept as the text a scrape gets."""
        return b""

    # Its life.

    @property
    def queues(self) -> list[str]:
        """The queues that are this service's own."""
        return [name for name in (*QUEUES, INBOUND_QUEUE) if name.startswith(f"{self.name}.")]

    def consumers(self) -> dict[str, Consumer]:
        """The queues it consumes."""
        subscriptions = (*self.subscriptions(), *self._key_subscriptions())
        known: dict[str, Consumer] = {s.queue: EventConsumer(self, s).take for s in subscriptions}
        known |= self.raw_consumers()
        if not self.settings.amqp_url:
            return known
        dead: dict[str, Consumer] = {f"{queue}.dead": partial(self._take_dead, queue) for queue in known}
        return known | dead

    async def _take_dead(self, queue: str, deliveries: Sequence[Delivery]) -> None:
        """What the broker gave up delivering comes to the table too."""
        letters = [(structs.replace(d, queue=queue), "delivered too often") for d in deliveries]

        async def store() -> None:
            async with self.database.transaction() as connection:
                await self.dead_letters.store(connection, letters)

        await retry_while_unavailable(queue, store)

    def raw_consumers(self) -> dict[str, Consumer]:
        """Queues whose deliveries are not events of ours."""
        return {}

    async def start(self) -> None:
        """Migrate, make ready, begin to listen, relay and work; waits for a database that is away."""
        await retry_while_unavailable(self.name, self.make_ready)
        await self.bus.start(self.consumers())
        for job in (self.relay.run, self._clean, self._watch_keys, *self.jobs()):
            self._tasks.append(asyncio.create_task(self._kept_alive(job), name=f"{self.name} job"))
        self.ready = True
        _log.info("service started", service=self.name)

    async def make_ready(self) -> None:
        """Migrate and prepare, without beginning to work: all there is to do where it is driven by hand."""
        await upgrade(self.database, self.metadata)
        await self._load_revoked()
        await self.prepare()

    async def _kept_alive(self, job: Job) -> None:
        """Run `job` for ever: one that fails is logged and begun again."""
        while True:
            try:
                await job()
                return
            except Exception as error:
                _log.error("job failed, it begins again", service=self.name, exc_info=error)
                await asyncio.sleep(1)

    async def drain(self) -> None:
        """Stop working: jobs end, what is in hand is finished."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Let go of everything."""
        await self.finish()
        await self.database.dispose()
        _log.info("service stopped", service=self.name)

    def committed(self) -> None:
        """Something was committed: the outbox may hold rows to relay."""
        self.relay.wake()

    async def record(self, connection: AsyncConnection, *events: Event) -> None:
        """Speak: see `Outbox.record`; call `committed` after the commit."""
        await self.outbox.record(connection, *events)

    # Keys that were revoked.

    def _key_subscriptions(self) -> Sequence[Subscription]:
        queue = f"{self.name}.keys"
        return [Subscription(queue, (KeyRevoked,), handle_key_revoked)] if queue in QUEUES else []

    async def revoke(self, connection: AsyncConnection, keys: Sequence[str]) -> None:
        """These keys hold no longer, here and in every copy."""
        dialect = postgresql if self.database.is_postgres else sqlite
        rows = [{"key": key, "revoked_at": self.clock.now()} for key in keys]
        await connection.execute(
            dialect.insert(self.messaging_tables.revoked_keys).on_conflict_do_nothing(), rows
        )
        self.keyring.revoked.update(keys)

    async def _load_revoked(self) -> None:
        async with self.database.snapshot() as connection:
            found = await connection.execute(select(self.messaging_tables.revoked_keys.c.key))
            self.keyring.revoked.update(found.scalars())

    async def _watch_keys(self) -> None:
        while True:
            await asyncio.sleep(_KEYS_SECONDS)
            await self._quietly(self._load_revoked)

    # Housekeeping.

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(_CLEAN_SECONDS)
            await self._quietly(self._clean_once)

    async def _clean_once(self) -> None:
        while await self.relay.clean():
            pass
        table = self.messaging_tables.inbox
        old = select(table.c.consumer, table.c.source, table.c.id)
        old = old.where(table.c.received_at < self.clock.now() - _INBOX_KEEP).limit(2000)
        async with self.database.transaction() as connection:
            await connection.execute(
                delete(table).where(tuple_(table.c.consumer, table.c.source, table.c.id).in_(old))
            )

    async def _quietly(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            _log.warning("housekeeping failed", service=self.name, error=type(error).__name__)

    # Dead letters.

    async def replay(self, queue: str | None = None, reason: str | None = None, limit: int = 1000) -> int:
        """Take dead letters once more, those of `queue` whose reason holds `reason`; how many."""
        consumers = self.consumers()
        async with self.database.snapshot() as connection:
            letters = await self.dead_letters.list_pending(connection, queue, reason, limit)
        for letter in letters:
            delivery = Delivery(queue=letter.queue, body=letter.body, headers=letter.headers)
            await consumers[letter.queue]([delivery])
            async with self.database.transaction() as connection:
                await self.dead_letters.mark_replayed(connection, [letter.id])
        return len(letters)

    # Metrics and health.

    async def scrape(self) -> None:
        """Bring all gauges up to date."""
        pending, oldest = await self.relay.backlog()
        async with self.database.snapshot() as connection:
            dead = await self.dead_letters.count_by_queue(connection)
        self._gauges.show(self.name, pending, oldest, {queue: dead.get(queue, 0) for queue in self.queues})
        await self.measure()

    def common_endpoints(self) -> list[Endpoint]:
        """Health and the service's own documents."""
        return [
            Endpoint("GET", "/livez", self._livez, None, ("进程存活", "The process lives"), answer=Health),
            Endpoint(
                "GET", "/readyz", self._readyz, None, ("可以服务", "Database and bus answer"), answer=Health
            ),
            Endpoint("GET", "/openapi.json", self._openapi, None, ("OpenAPI 文档", "The OpenAPI document")),
            Endpoint("GET", "/asyncapi", self._asyncapi, None, ("AsyncAPI 文档", "The AsyncAPI document")),
        ]

    async def _livez(self, _: Call) -> Health:
        return Health("ok", self.name)

    async def _readyz(self, _: Call) -> Health:
        await self.check_ready()
        return Health("ok", self.name)

    async def check_ready(self) -> None:
        """Raises `Unavailable` where the database or the bus does not answer."""
        if not self.ready:
            raise Unavailable(f"{self.name} is starting or stopping.", f"{self.name} 正在启动或停止。")
        try:
            await self.database.ping()
        except Exception as error:
            raise Unavailable(
                f"The database of {self.name} does not answer.", f"{self.name} 的数据库无响应。"
            ) from error
        try:
            await self.bus.ping()
        except BusDown as error:
            raise Unavailable("The bus does not answer.", "消息总线无响应。") from error

    async def _openapi(self, _: Call) -> Reply:
        endpoints = [*self.endpoints(), *self.common_endpoints()]
        return Reply(openapi.build_document(f"Guanjia {self.name}", VERSION, endpoints))

    async def _asyncapi(self, _: Call) -> Reply:
        return Reply(asyncapi.build_document(VERSION))


async def handle_key_revoked(service: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Keys were revoked at intake."""
    await service.revoke(connection, [event.data.key for event in events])


def secret_and_keyring(settings: Settings) -> tuple[Secret, Keyring]:
    """The installation's secret and the keyring that rests on it."""
    secret = Secret(settings.bootstrap_key, settings.data_dir)
    return secret, Keyring(secret)
