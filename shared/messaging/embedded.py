"""The bus without a broker: queues are rows in a database, durable, shared by the processes that use it.

Same promise as the RabbitMQ form: at least once, settled after the handler returns, delays for retries. On
PostgreSQL the rows of a batch stay locked while it is handled: copies compete, a crash frees them at once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateSchema

from shared.clock import Clock
from shared.database.bulk import BulkInsert, any_of
from shared.database.engine import Database, is_transient
from shared.database.types import UtcDateTime, metadata_for
from shared.messaging.bus import BusDown, Consumer, Delivery, Message
from shared.messaging.topology import SUBSCRIBERS
from shared.run_forever import run_forever

Listener = Callable[[str, bytes, datetime], None]
"""Called for each message: its queue, its body, and from when on it is due."""
MAX_BATCH = 100
"""How many messages of a queue are delivered at once, at most."""
_log = structlog.stdlib.get_logger(__name__)
_POLL_SECONDS, _LONE_POLL_SECONDS = 0.25, 1.0
"""How often to look for what nobody woke a queue for: what other processes published, a retry that is due."""

metadata = metadata_for("bus")
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), Identity(always=False), primary_key=True),
    Column("queue", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("available_at", UtcDateTime, nullable=False),
    Index("ix_messages_queue", "queue", "id"),
)
_INSERT = BulkInsert(messages, omit=("id",))


class StoredMessage(NamedTuple):
    """A message on a queue."""

    id: int
    body: bytes
    attempt: int


class EmbeddedBus:
    """Queues in the database `bus`: beside the services' own SQLite files, or a schema on PostgreSQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._wake: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._started = asyncio.Lock()
        self._ready = False
        self._listeners: list[Listener] = []

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` for every message that is published from now on, once it is durable."""
        self._listeners.append(listener)

    async def start(self, consumers: Mapping[str, Consumer], rests: Mapping[str, float] = {}) -> None:
        async with self._started:
            if not self._ready:
                await self._create_tables()
                self._ready = True
                self._tasks.append(asyncio.create_task(self._watch_queues(), name="bus watch"))
        for queue, consumer in consumers.items():
            self._wake[queue] = asyncio.Event()
            consuming = self._consume(queue, consumer, rests.get(queue, 0.0))
            self._tasks.append(asyncio.create_task(consuming, name=f"bus {queue}"))

    async def _create_tables(self) -> None:
        async with self.database.transaction() as connection:
            if self.database.is_postgres:
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1651864435)")
                await connection.execute(CreateSchema("bus", if_not_exists=True))
            await connection.run_sync(metadata.create_all)

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        rows = [
            (queue, message.body)
            for message in messages
            if not message.public
            for queue in SUBSCRIBERS.get(message.key, ())
        ]
        await self._insert(rows, attempt=0, seconds=0)
        return ()

    async def retry(self, delivery: Delivery, body: bytes, seconds: int) -> None:
        await self._insert([(delivery.queue, body)], attempt=delivery.attempt + 1, seconds=seconds)

    async def _insert(self, rows: Sequence[tuple[str, bytes]], *, attempt: int, seconds: int) -> None:
        if not rows:
            return
        available_at = self._clock.now() + timedelta(seconds=seconds)
        values = [{"queue": q, "body": b, "attempt": attempt, "available_at": available_at} for q, b in rows]
        try:
            async with self.database.transaction() as connection:
                await _INSERT.execute(connection, values)
        except Exception as error:
            if is_transient(error):
                raise BusDown("the bus's database does not answer") from error
            raise
        for queue, body in rows:
            if queue in self._wake:
                self._wake[queue].set()
            for listener in self._listeners:
                listener(queue, body, available_at)

    async def _consume(self, queue: str, consumer: Consumer, rest: float) -> None:
        async def deliver_or_wait() -> None:
            self._wake[queue].clear()
            if await self.deliver_batch(queue, consumer):
                await asyncio.sleep(rest)
            elif not self._stopping:
                await self._wake[queue].wait()

        await run_forever(f"bus {queue}", deliver_or_wait, is_temporary=is_transient, until=self._is_stopping)

    async def _watch_queues(self) -> None:
        """Wake the queues on which something is due that this process does not know of."""
        await run_forever(
            "bus watch",
            self._wake_due_queues,
            every=_POLL_SECONDS if self.database.is_postgres else _LONE_POLL_SECONDS,
            is_temporary=is_transient,
            until=self._is_stopping,
        )

    async def _wake_due_queues(self) -> None:
        for queue in await self._list_due_queues():
            if queue in self._wake:
                self._wake[queue].set()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def deliver_batch(self, queue: str, consumer: Consumer) -> int:
        """Hand a batch of what is due on `queue` to `consumer` and settle it; how many messages."""
        if self.database.is_postgres:
            async with self.database.transaction() as connection:
                rows = await self._read_due(connection, queue)
                await _handle(queue, consumer, rows)
                await _settle(connection, rows)
            return len(rows)
        async with self.database.snapshot() as connection:
            rows = await self._read_due(connection, queue)
        if rows:
            await _handle(queue, consumer, rows)
            async with self.database.transaction() as connection:
                await _settle(connection, rows)
        return len(rows)

    async def _read_due(self, connection: AsyncConnection, queue: str) -> list[StoredMessage]:
        query = (
            select(*(messages.c[name] for name in StoredMessage._fields))
            .where(messages.c.queue == queue, self._is_due())
            .order_by(messages.c.id)
            .limit(MAX_BATCH)
        )
        if self.database.is_postgres:
            query = query.with_for_update(skip_locked=True)
        return [StoredMessage(*row) for row in await connection.execute(query)]

    def _is_due(self) -> ColumnElement[bool]:
        # what was never tried is due at once, also where the clock was set back since
        return or_(messages.c.attempt == 0, messages.c.available_at <= self._clock.now())

    async def ping(self) -> None:
        try:
            await self.database.ping()
        except Exception as error:
            raise BusDown("the bus's database does not answer") from error

    async def pause(self) -> None:
        self._stopping = True
        for event in self._wake.values():
            event.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=15)

    async def stop(self) -> None:
        self._stopping = True  # a rollback that fails in its turn can swallow the cancellation
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.database.dispose()

    async def _list_due_queues(self) -> list[str]:
        query = select(messages.c.queue).where(self._is_due()).distinct()
        async with self.database.snapshot() as connection:
            return list((await connection.execute(query)).scalars())

    async def list_filled_queues(self) -> list[str]:
        """The queues that hold messages, due or not."""
        query = select(messages.c.queue).distinct().order_by(messages.c.queue)
        async with self.database.snapshot() as connection:
            return list((await connection.execute(query)).scalars())

    async def count_messages(self) -> int:
        """How many messages all queues hold."""
        async with self.database.snapshot() as connection:
            query = select(func.count()).select_from(messages)
            return int((await connection.execute(query)).scalar_one())


async def _handle(queue: str, consumer: Consumer, rows: Sequence[StoredMessage]) -> None:
    if rows:
        await consumer([Delivery(queue=queue, body=row.body, attempt=row.attempt) for row in rows])


async def _settle(connection: AsyncConnection, rows: Sequence[StoredMessage]) -> None:
    if rows:
        settled = any_of(connection, messages.c.id, [row.id for row in rows])
        await connection.execute(delete(messages).where(settled))
