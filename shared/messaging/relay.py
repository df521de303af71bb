"""Sends what the outbox holds: takes a batch, packs it by who hears it, publishes with confirms, settles it.

Nothing is ever published from memory after a commit: only rows of the table are. Of a service's copies one at
a time sends, in the order of the rows, and until it settles them it writes nothing: a transaction that wrote
and then waited for the broker would hold back the stream of cases. Rows that the broker refuses back off by
themselves. Sent rows are kept for a while (a broker may lose a young queue), then removed in bounded bites.
"""

import asyncio
from binascii import crc32
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.bulk import any_of
from shared.database.engine import Database
from shared.messages.registry import PUBLIC
from shared.messaging.availability import is_temporary
from shared.messaging.bus import Bus, Message
from shared.messaging.outbox import Outbox
from shared.messaging.topology import AUDIENCES
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_BATCH = 500
_PACK_EVENTS = 100
_PACK_BYTES = 256 * 1024
_POLL_SECONDS = 1.0
_TURN_SECONDS = 0.02
_TURN = 1919249761  # the name of these turns among the advisory locks of the database
_KEEP = timedelta(hours=2)
_BITE = 2000
_BACK_OFF = timedelta(seconds=10)


class Relay:
    """One service's relay. `wake` it after a commit; a poll finds what a crash left behind."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._table = outbox.table
        self._outbox, self._drained = outbox, -1
        self._bus = bus
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be rows to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send for ever."""
        await run_forever(f"{self._database.service} relay", self._send_and_rest, is_temporary=is_temporary)

    async def _send_and_rest(self) -> None:
        self._wake.clear()
        sent = await self.send_batch()
        if sent is None:
            await asyncio.sleep(_TURN_SECONDS)
        elif sent < _BATCH:
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def drain(self) -> int:
        """Send what this process has recorded since the last time; how many rows. Instead of `run`."""
        sent = 0
        while self._drained != self._outbox.recorded:
            self._drained = self._outbox.recorded
            while (taken := await self.send_batch() or 0) == _BATCH:
                sent += taken
            sent += taken
        return sent

    async def send_batch(self) -> int | None:
        """Send up to one batch; how many rows were taken. None while another copy of the service sends."""
        if self._database.is_postgres:
            async with self._database.transaction() as connection:
                if not (await connection.execute(self._turn())).scalar_one():
                    return None
                rows = (await connection.execute(self._unsent())).all()
                refused = await self._send(rows)
                await self._settle(connection, rows, refused)
            return len(rows)
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(self._unsent())).all()
        refused = await self._send(rows)
        if rows:
            async with self._database.transaction() as connection:
                await self._settle(connection, rows, refused)
        return len(rows)

    def _turn(self) -> Any:
        """Ask for the turn to send until the transaction ends, or its process does."""
        service = crc32(self._database.service.encode()) - 2**31
        return select(func.pg_try_advisory_xact_lock(_TURN, service))

    def _unsent(self) -> Any:
        table = self._table
        # what was never tried is due at once, also where the clock was set back since
        due = (table.c.attempts == 0) | (table.c.available_at <= self._clock.now())
        query = select(table.c.id, table.c.type, table.c.body).where(table.c.sent_at.is_(None), due)
        return query.order_by(table.c.id).limit(_BATCH)

    async def _send(self, rows: Sequence[Row[Any]]) -> set[int]:
        """Publish `rows`; the ids of those that were refused."""
        packed = list(pack_messages(rows))
        if not packed:
            return set()
        refused = await self._bus.publish([message for message, _ in packed])
        return {id_ for index in refused for id_ in packed[index][1]}

    async def _settle(self, connection: AsyncConnection, rows: Sequence[Row[Any]], refused: set[int]) -> None:
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

    async def clean(self) -> int:
        """Remove a bite of rows that were sent long ago; how many."""
        table = self._table
        old = select(table.c.id).where(table.c.sent_at < self._clock.now() - _KEEP).limit(_BITE)
        async with self._database.transaction() as connection:
            return (await connection.execute(delete(table).where(table.c.id.in_(old)))).rowcount

    async def backlog(self) -> tuple[int, float]:
        """How many rows wait, and for how many seconds the oldest has."""
        table = self._table
        query = select(func.count(), func.min(table.c.recorded_at)).where(table.c.sent_at.is_(None))
        async with self._database.snapshot() as connection:
            count, oldest = (await connection.execute(query)).one()
        return count, max(0.0, (self._clock.now() - oldest).total_seconds()) if oldest else 0.0


def pack_messages(rows: Sequence[Row[Any]]) -> Iterator[tuple[Message, list[int]]]:
    """Rows, in order, as messages with the ids in each: for our own services packed by who hears them,
    whatever their types, for others one each.
    """
    heard: dict[tuple[str, ...], list[Row[Any]]] = {}
    for row in rows:
        if row.type in AUDIENCES:
            heard.setdefault(AUDIENCES[row.type], []).append(row)
    for members in heard.values():
        for chunk in _chunks(members):
            body = b"[" + b",".join(row.body for row in chunk) + b"]"
            yield Message(key=chunk[0].type, body=body, packed=True), [row.id for row in chunk]
    for row in rows:
        if row.type in PUBLIC:
            yield Message(key=row.type, body=row.body, packed=False, public=True), [row.id]


def _chunks(rows: Sequence[Row[Any]]) -> Iterator[list[Row[Any]]]:
    chunk: list[Row[Any]] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) == _PACK_EVENTS or size + len(row.body) > _PACK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.body)
    if chunk:
        yield chunk
