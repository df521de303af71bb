"""Publishes what the outbox holds: reads a batch, packs it by subscribers, publishes with confirms, settles.

Nothing is ever published from memory after a commit: only rows of the table are. Of a service's copies one at
a time publishes, in the order of the rows, and until it settles them it writes nothing: a transaction that
wrote and then waited for the broker would hold back the stream of cases. Rows that the broker refuses back
off by themselves. Published rows are kept for a while (a broker may lose a young queue), then deleted.
"""

import asyncio
from binascii import crc32
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast

import structlog
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.bulk import any_of
from shared.database.engine import Database
from shared.messages.registry import PUBLIC
from shared.messaging.availability import is_temporary
from shared.messaging.bus import Bus, Message
from shared.messaging.outbox import Outbox
from shared.messaging.topology import SUBSCRIBERS
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_MAX_BATCH = 500
_MAX_PACK_EVENTS = 100
_MAX_PACK_BYTES = 256 * 1024
_POLL_SECONDS = 1.0
_LOCK_RETRY_SECONDS = 0.02
_LOCK = 1919249761  # of the relays, among the advisory locks of the database
_KEEP = timedelta(hours=2)
_MAX_DELETED = 2000
_BACK_OFF = timedelta(seconds=10)


class OutboxRow(NamedTuple):
    """An event to be published."""

    id: int
    type: str
    body: bytes


class Relay:
    """One service's relay. set `wakeup` after a commit; a poll finds what a crash left behind."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._table = outbox.table
        self._outbox, self._drained_count = outbox, -1
        self._bus = bus
        self._clock = clock
        self.wakeup = asyncio.Event()

    async def run(self) -> None:
        """Publish for ever."""
        await run_forever(f"{self._database.service} relay", self._send_and_wait, is_temporary=is_temporary)

    async def _send_and_wait(self) -> None:
        self.wakeup.clear()
        count = await self.send_batch()
        if count is None:
            await asyncio.sleep(_LOCK_RETRY_SECONDS)
        elif count < _MAX_BATCH:
            await self._wait_for_rows()

    async def _wait_for_rows(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self.wakeup.wait()
        except TimeoutError:
            pass

    async def drain(self) -> int:
        """Publish what this process has recorded since the last time; how many rows. Instead of `run`."""
        total = 0
        while self._drained_count != self._outbox.recorded_count:
            self._drained_count = self._outbox.recorded_count
            while (count := await self.send_batch() or 0) == _MAX_BATCH:
                total += count
            total += count
        return total

    async def send_batch(self) -> int | None:
        """Publish up to one batch; how many rows it had. None while another copy of the service publishes."""
        if self._database.is_postgres:
            async with self._database.transaction() as connection:
                if not await self._try_lock(connection):
                    return None
                rows = await self._read_unsent(connection)
                refused = await self._publish(rows)
                await self._settle(connection, rows, refused)
            return len(rows)
        async with self._database.snapshot() as connection:
            rows = await self._read_unsent(connection)
        refused = await self._publish(rows)
        if rows:
            async with self._database.transaction() as connection:
                await self._settle(connection, rows, refused)
        return len(rows)

    async def _try_lock(self, connection: AsyncConnection) -> bool:
        """Whether this copy may publish until the transaction ends, or its process does."""
        service = crc32(self._database.service.encode()) - 2**31
        query = cast(Select[bool], select(func.pg_try_advisory_xact_lock(_LOCK, service)))
        return (await connection.execute(query)).scalar_one()

    async def _read_unsent(self, connection: AsyncConnection) -> list[OutboxRow]:
        columns = self._table.c
        # what was never tried is due at once, also where the clock was set back since
        due = (columns.attempts == 0) | (columns.available_at <= self._clock.now())
        query = select(*(columns[name] for name in OutboxRow._fields)).where(columns.sent_at.is_(None), due)
        rows = await connection.execute(query.order_by(columns.id).limit(_MAX_BATCH))
        return [OutboxRow(*row) for row in rows]

    async def _publish(self, rows: Sequence[OutboxRow]) -> set[int]:
        """Publish `rows`; the ids of those that were refused."""
        packs = list(pack_messages(rows))
        if not packs:
            return set()
        refused = await self._bus.publish([message for message, _ in packs])
        return {id_ for index in refused for id_ in packs[index][1]}

    async def _settle(
        self, connection: AsyncConnection, rows: Sequence[OutboxRow], refused: set[int]
    ) -> None:
        table, now = self._table, self._clock.now()
        sent = [row.id for row in rows if row.id not in refused]
        if sent:
            await connection.execute(
                update(table).where(any_of(connection, table.c.id, sent)).values(sent_at=now)
            )
        if refused:
            _log.warning("messages refused by the broker", count=len(refused))
            later = {"attempts": table.c.attempts + 1, "available_at": now + _BACK_OFF}
            await connection.execute(
                update(table).where(any_of(connection, table.c.id, refused)).values(later)
            )

    async def delete_sent(self) -> int:
        """Delete a batch of rows that were published long ago; how many."""
        table = self._table
        expired = select(table.c.id).where(table.c.sent_at < self._clock.now() - _KEEP).limit(_MAX_DELETED)
        async with self._database.transaction() as connection:
            return (await connection.execute(delete(table).where(table.c.id.in_(expired)))).rowcount

    async def measure_backlog(self) -> tuple[int, float]:
        """How many rows are to be published, and the age of the oldest in seconds."""
        table = self._table
        counts = select(func.count(), func.min(table.c.recorded_at)).where(table.c.sent_at.is_(None))
        query = cast(Select[int, datetime | None], counts)
        async with self._database.snapshot() as connection:
            count, oldest = (await connection.execute(query)).one()
        return count, max(0.0, (self._clock.now() - oldest).total_seconds()) if oldest else 0.0


def pack_messages(rows: Sequence[OutboxRow]) -> Iterator[tuple[Message, list[int]]]:
    """Rows, in order, as messages with the ids in each: for our own services packed by their subscribers,
    whatever their types, for others one each.
    """
    by_subscribers: dict[tuple[str, ...], list[OutboxRow]] = {}
    for row in rows:
        if row.type in SUBSCRIBERS:
            by_subscribers.setdefault(SUBSCRIBERS[row.type], []).append(row)
    for members in by_subscribers.values():
        for chunk in _chunks(members):
            body = b"[" + b",".join(row.body for row in chunk) + b"]"
            yield Message(key=chunk[0].type, body=body, packed=True), [row.id for row in chunk]
    for row in rows:
        if row.type in PUBLIC:
            yield Message(key=row.type, body=row.body, packed=False, public=True), [row.id]


def _chunks(rows: Sequence[OutboxRow]) -> Iterator[list[OutboxRow]]:
    chunk: list[OutboxRow] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) == _MAX_PACK_EVENTS or size + len(row.body) > _MAX_PACK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.body)
    if chunk:
        yield chunk
