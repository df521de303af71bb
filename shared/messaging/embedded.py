"""The bus without a broker: queues are rows in a database, durable, shared by the processes that use it.

Same promise as the RabbitMQ form: at least once, settled after the handler returns, delays for retries. On
PostgreSQL the rows of a set stay locked while it is handled: copies compete, a crash frees them at once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Row,
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
from shared.messaging.topology import AUDIENCES
from shared.run_forever import run_forever

Listener = Callable[[str, bytes, datetime], None]
"""Told of a message: its queue, its body, and from when on it is due."""
SET = 100
"""The most that is taken from a queue at once."""
_log = structlog.stdlib.get_logger(__name__)
_POLL_SECONDS = 0.25

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
_INSERTION = BulkInsert(messages, omit=("id",))


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

    def listen(self, listener: Listener) -> None:
        """`listener` is told whatever is put on a queue from now on, once it is durable."""
        self._listeners.append(listener)

    async def start(self, consumers: Mapping[str, Consumer]) -> None:
        async with self._started:
            if not self._ready:
                await self._create()
                self._ready = True
                self._tasks.append(asyncio.create_task(self._watch(), name="bus watch"))
        for queue, consumer in consumers.items():
            self._wake[queue] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._consume(queue, consumer), name=f"bus {queue}"))

    async def _create(self) -> None:
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
            for queue in AUDIENCES.get(message.key, ())
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
                await _INSERTION.execute(connection, values)
        except Exception as error:
            if is_transient(error):
                raise BusDown("the bus's database does not answer") from error
            raise
        for queue, body in rows:
            if queue in self._wake:
                self._wake[queue].set()
            for listener in self._listeners:
                listener(queue, body, available_at)

    async def _consume(self, queue: str, consumer: Consumer) -> None:
        async def take_and_rest() -> None:
            self._wake[queue].clear()
            taken = await self.take(queue, consumer)
            if not taken and not self._stopping:
                await self._wake[queue].wait()

        await run_forever(f"bus {queue}", take_and_rest, is_temporary=is_transient, until=self._is_stopping)

    async def _watch(self) -> None:
        """Wake the queues on which something is due that this process does not know of."""
        await run_forever(
            "bus watch",
            self._wake_due_queues,
            every=_POLL_SECONDS,
            is_temporary=is_transient,
            until=self._is_stopping,
        )

    async def _wake_due_queues(self) -> None:
        for queue in await self._due_queues():
            if queue in self._wake:
                self._wake[queue].set()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def take(self, queue: str, consumer: Consumer) -> int:
        """Hand a set of what is due on `queue` to `consumer` and settle it; how many messages."""
        if self.database.is_postgres:
            async with self.database.transaction() as connection:
                rows = (await connection.execute(self._due(queue).with_for_update(skip_locked=True))).all()
                await self._handle(queue, consumer, rows)
                await _settle(connection, rows)
            return len(rows)
        async with self.database.snapshot() as connection:
            rows = (await connection.execute(self._due(queue))).all()
        if rows:
            await self._handle(queue, consumer, rows)
            async with self.database.transaction() as connection:
                await _settle(connection, rows)
        return len(rows)

    def _due(self, queue: str) -> Any:
        return (
            select(messages.c.id, messages.c.body, messages.c.attempt)
            .where(messages.c.queue == queue, self._fresh())
            .order_by(messages.c.id)
            .limit(SET)
        )

    def _fresh(self) -> ColumnElement[bool]:
        # what was never tried is due at once, also where the clock was set back since
        return or_(messages.c.attempt == 0, messages.c.available_at <= self._clock.now())

    async def _handle(self, queue: str, consumer: Consumer, rows: Sequence[Row[Any]]) -> None:
        if rows:
            await consumer([Delivery(queue=queue, body=row.body, attempt=row.attempt) for row in rows])

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

    async def _due_queues(self) -> list[str]:
        query = select(messages.c.queue).where(self._fresh()).distinct()
        async with self.database.snapshot() as connection:
            return list((await connection.execute(query)).scalars())

    async def waiting(self) -> list[str]:
        """The queues that something lies on, due or not."""
        query = select(messages.c.queue).distinct().order_by(messages.c.queue)
        async with self.database.snapshot() as connection:
            return list((await connection.execute(query)).scalars())

    async def pending(self) -> int:
        """Messages that wait on any queue."""
        async with self.database.snapshot() as connection:
            query = select(func.count()).select_from(messages)
            return int((await connection.execute(query)).scalar_one())


async def _settle(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
    if rows:
        taken = any_of(connection, messages.c.id, [row.id for row in rows])
        await connection.execute(delete(messages).where(taken))
