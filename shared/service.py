"""The life of a service: what it is made of, how it starts, works, drains and closes."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.routing import BaseRoute

from shared.auth import Keyring, Secret
from shared.clock import Clock
from shared.database.engine import Database, is_transient
from shared.database.migrations import upgrade
from shared.errors import Unavailable
from shared.http.endpoints import Endpoint
from shared.http.health import Origin
from shared.messages.cloudevents import Event
from shared.messages.kinds import KindCatalog
from shared.messaging.availability import retry_while_unavailable
from shared.messaging.bus import Bus, BusDown, Consumer
from shared.messaging.consumer import EventConsumer, Subscription
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.housekeeping import Housekeeping, messaging_bites
from shared.messaging.inbox import Inbox
from shared.messaging.metrics import MessagingMetrics
from shared.messaging.outbox import Outbox
from shared.messaging.relay import Relay
from shared.messaging.replay import DeadQueueConsumer
from shared.messaging.tables import MessagingTables
from shared.messaging.topology import INBOUND_QUEUE, QUEUES
from shared.properties.property import Property
from shared.revocation import RevokedKeys
from shared.run_forever import run_forever
from shared.settings import Settings

VERSION = "0.1.0"
_log = structlog.stdlib.get_logger(__name__)
_HOUSEKEEPING_SECONDS = 60
_KEYS_SECONDS = 1.0
_SETTLE_SECONDS = 2

Job = Callable[[], Coroutine[Any, Any, None]]
"""A coroutine function that goes on until it is cancelled."""


@dataclass(frozen=True)
class ServiceContext:
    """What a process gives to the services in it."""

    settings: Settings
    clock: Clock
    bus: Bus
    secret: Secret
    keyring: Keyring
    properties: Mapping[str, Property]
    kinds: KindCatalog


class Service:
    """Base of the four services. A subclass names itself and its tables, and overrides what it adds."""

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
        self.kinds = context.kinds
        tables = self.messaging_tables
        self.database = Database(self.name, context.settings.database_url, context.settings.data_dir)
        self.outbox = Outbox(self.database, tables, context.clock)
        self.inbox = Inbox(tables.inbox, context.clock)
        self.dead_letters = DeadLetters(tables.dead_letters, context.clock)
        self.relay = Relay(self.database, self.outbox, context.bus, context.clock)
        self.revoked_keys = RevokedKeys(self.database, tables.revoked_keys, context.keyring, context.clock)
        self.housekeeping = Housekeeping(
            messaging_bites(self.database, self.relay, tables.inbox, tables.dead_letters, context.clock)
        )
        self.registry = CollectorRegistry()
        self._messaging_metrics = MessagingMetrics(self.registry)
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()
        self.ready = False

    # What a subclass adds.

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        """The queues whose events it handles."""
        return ()

    def endpoints(self) -> Sequence[Endpoint]:
        """Its endpoints."""
        return ()

    def pages(self) -> Sequence[BaseRoute]:
        """Starlette routes for people."""
        return ()

    def jobs(self) -> Sequence[Job]:
        """What goes on for as long as the service does."""
        return ()

    def raw_consumers(self) -> dict[str, Consumer]:
        """Queues whose deliveries are not events of ours."""
        return {}

    async def prepare(self) -> None:
        """Prepare what the service needs, after the migrations and before anything is consumed."""

    async def release(self) -> None:
        """Release what `prepare` and the jobs hold."""

    async def update_gauges(self) -> None:
        """Bring the service's own gauges up to date, before a scrape."""

    def render_metrics(self) -> bytes:
        """Metrics beside the registry's that are kept as the text a scrape gets."""
        return b""

    # Its life.

    async def start(self) -> None:
        """Migrate, prepare, then consume, relay and run the jobs; waits for a database that is away."""
        await retry_while_unavailable(self.name, self.migrate_and_prepare)
        await self.bus.start(self.consumers(), {s.queue: s.rest for s in self.subscriptions()})
        jobs = [self.relay.run, self._run_housekeeping, *self.jobs()]
        if self.database.is_postgres:  # else there is no copy that could have revoked a key by itself
            jobs.append(self._load_revoked_keys)
        for job in jobs:
            self._tasks.append(asyncio.create_task(job(), name=f"{self.name} job"))
        self.ready = True
        _log.info("service started", service=self.name)

    async def migrate_and_prepare(self) -> None:
        """Migrate and prepare, without beginning to work: enough where nothing runs in the background."""
        await upgrade(self.database, self.metadata)
        await self.revoked_keys.load()
        await self.prepare()

    async def drain(self) -> None:
        """Stop working: jobs end."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Exception):  # what stays unsettled is published once more
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self.relay.settle()

    async def close(self) -> None:
        """Release everything."""
        await self.release()
        await self.database.dispose()
        _log.info("service stopped", service=self.name)

    async def _run_housekeeping(self) -> None:
        await run_forever(
            f"{self.name} housekeeping",
            self.housekeeping.delete_expired,
            every=_HOUSEKEEPING_SECONDS,
            is_temporary=is_transient,
        )

    async def _load_revoked_keys(self) -> None:
        await run_forever(
            f"{self.name} revoked keys",
            self.revoked_keys.load,
            every=_KEYS_SECONDS,
            is_temporary=is_transient,
        )

    # Messaging.

    @property
    def queues(self) -> list[str]:
        """The queues that are this service's own."""
        return [name for name in (*QUEUES, INBOUND_QUEUE) if name.startswith(f"{self.name}.")]

    def consumers(self) -> dict[str, Consumer]:
        """The queues it consumes."""
        subscriptions = [*self.subscriptions(), *self._key_subscriptions()]
        consumers: dict[str, Consumer] = {s.queue: EventConsumer(self, s).consume for s in subscriptions}
        consumers |= self.raw_consumers()
        if not self.settings.amqp_url:
            return consumers
        return consumers | {
            f"{queue}.dead": DeadQueueConsumer(self.database, self.dead_letters, queue).consume
            for queue in consumers
        }

    def _key_subscriptions(self) -> list[Subscription[Any]]:
        queue = f"{self.name}.keys"
        return [Subscription(queue, self.revoked_keys.handle_key_revoked)] if queue in QUEUES else []

    async def record(self, connection: AsyncConnection, *events: Event) -> None:
        """See `Outbox.record`."""
        await self.outbox.record(connection, *events)

    # Metrics and health.

    async def update_metrics(self) -> None:
        """Bring all gauges up to date."""
        pending, oldest = await self.relay.measure_backlog()
        async with self.database.snapshot() as connection:
            dead = await self.dead_letters.count_by_queue(connection)
        by_queue = {queue: dead.get(queue, 0) for queue in self.queues}
        self._messaging_metrics.update(self.name, pending, oldest, by_queue)
        await self.update_gauges()

    def origin(self) -> Origin:
        """This service as an origin of its own."""
        return Origin(self.name, f"Guanjia {self.name}", VERSION, self.check_ready, self.endpoints())

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


def make_secret_and_keyring(settings: Settings) -> tuple[Secret, Keyring]:
    """The installation's secret and the keyring that rests on it."""
    secret = Secret(settings.bootstrap_key, settings.data_dir)
    return secret, Keyring(secret)
