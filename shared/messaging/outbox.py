"""Events are written in the transaction that changes state, and handed to the relay once it has committed.

What tells the database that a transaction has events to be published is one row of `unsent`, written with
them. The events themselves stand in `outbox`, or in a table of the service's own that has an `EventSource`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import NamedTuple, Protocol

from sqlalchemy import BigInteger, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.batch import BulkWrite
from shared.database.bulk import BulkInsert, Values, any_of
from shared.database.engine import Database
from shared.messages.cloudevents import Event, encode
from shared.messaging.tables import MessagingTables
from shared.telemetry import current_trace

XID = literal_column("(pg_current_xact_id()::text)::bigint", BigInteger())
"""The number of the transaction, for tables that bear it; on SQLite it is handed to the rows."""
LEASE = timedelta(seconds=2)
"""How long a process has what it committed to itself; after that any copy publishes it."""
_MAX_WAITING, _MAX_WAITING_BYTES = 20_000, 32 * 1024 * 1024
"""How many events, and of what size, may wait in memory; more are left to be read again."""
_positions = count(time.time_ns() // 1000)


def next_position() -> int:
    """A number above all that this process has given; it orders the rows of a transaction."""
    return next(_positions)


class OutgoingEvent(NamedTuple):
    """An event as it is published."""

    type: str
    body: bytes


class Publication(NamedTuple):
    """The events of one transaction, in their order; `leased_until` any copy leaves them to this process."""

    xid: int
    events: Sequence[OutgoingEvent]
    leased_until: datetime


class EventSource(Protocol):
    """A table whose rows are events to be published."""

    async def read_events(
        self, connection: AsyncConnection, xids: Sequence[int]
    ) -> list[tuple[int, OutgoingEvent]]:
        """The events that these transactions wrote, in their order, each with its transaction."""
        ...


class Outbox:
    """A service's outbox. What is committed waits in `waiting` for the relay, which `wakeup` wakes.

    While `is_behind` nothing is handed over in memory: what waits in the database goes first.
    """

    def __init__(self, database: Database, tables: MessagingTables, clock: Clock) -> None:
        self.table, self.unsent = tables.outbox, tables.unsent
        self.wakeup = asyncio.Event()
        self.waiting: deque[Publication] = deque()
        self.is_behind = False
        self._database, self._clock = database, clock
        self._waiting_events = self._waiting_bytes = 0
        self.insert_unsent = BulkInsert(
            self.unsent,
            lambda insert: insert.on_conflict_do_update(
                index_elements=["xid"], set_={"events": self.unsent.c.events + insert.excluded.events}
            ).returning(self.unsent.c.xid),
            computed={"xid": XID},
        )
        self.insert_events = BulkInsert(self.table, computed={"xid": XID})
        self._write = BulkWrite(
            {"unsent": self.insert_unsent, "outbox": self.insert_events}, returns="unsent"
        )

    async def record(self, connection: AsyncConnection, *events: Event) -> None:
        """Write `events` to be published after the commit; one statement, whatever their number."""
        if events:
            trace = current_trace()
            outgoing = [OutgoingEvent(event.type, encode(_with_trace(event, trace))) for event in events]
            await self.write(connection, self._write, {"outbox": self.rows_of(outgoing)}, outgoing)

    def rows_of(self, events: Sequence[OutgoingEvent]) -> list[Values]:
        """The rows of events that stand in no table of the service's own, for `insert_events`."""
        now = self._clock.now()
        return [
            {"position": next_position(), "type": type_, "body": body, "recorded_at": now}
            for type_, body in events
        ]

    async def write(
        self,
        connection: AsyncConnection,
        statement: BulkWrite,
        rows: Mapping[str, Sequence[Values]],
        outgoing: Sequence[OutgoingEvent],
    ) -> int:
        """Write `rows`, and that `outgoing` is to be published once they are committed; their transaction.

        `statement` has a part `unsent`, which it returns: `insert_unsent`. On SQLite the rows of parts whose
        `xid` PostgreSQL works out get it here. Raises what `statement` raises.
        """
        if not outgoing:
            await statement.execute(connection, rows)
            return 0
        now, is_behind = self._clock.now(), self.is_behind
        unsent: Values = {
            "events": len(outgoing),
            "recorded_at": now,
            "available_at": now if is_behind else now + LEASE,
            "attempts": 0,
        }
        if self._database.is_postgres:
            xid = int((await statement.execute(connection, {**rows, "unsent": [unsent]}))[0][0])
        else:
            xid = int((await self.insert_unsent.execute(connection, [unsent]))[0][0])
            await statement.execute(connection, statement.fill_in(rows, {"xid": xid}))
        publication = Publication(xid, outgoing, now + LEASE)
        hand_over = self._leave_to_any_copy if is_behind else partial(self._hand_over, publication)
        self._database.after_commit(connection, hand_over)
        return xid

    def _leave_to_any_copy(self) -> None:
        """What was written without a lease is read from the database, at once."""
        self.is_behind = True
        self.wakeup.set()

    def _hand_over(self, publication: Publication) -> None:
        count, size = len(publication.events), _measure(publication)
        if self._waiting_events + count > _MAX_WAITING or self._waiting_bytes + size > _MAX_WAITING_BYTES:
            self.is_behind = True
        else:
            self.waiting.append(publication)
            self._waiting_events += count
            self._waiting_bytes += size
        self.wakeup.set()

    def take(self, limit: int) -> list[Publication]:
        """What was committed first and waits, with `limit` events or a few more; it waits no longer.

        What has waited for so long that any copy may be publishing it is left to be read again.
        """
        now = self._clock.now()
        while self.waiting and self.waiting[0].leased_until <= now:
            self._take_first()
            self.is_behind = True
        taken: list[Publication] = []
        size = 0
        while self.waiting and size < limit:
            taken.append(self._take_first())
            size += len(taken[-1].events)
        return taken

    def _take_first(self) -> Publication:
        publication = self.waiting.popleft()
        self._waiting_events -= len(publication.events)
        self._waiting_bytes -= _measure(publication)
        return publication

    async def read_events(
        self, connection: AsyncConnection, xids: Sequence[int]
    ) -> list[tuple[int, OutgoingEvent]]:
        """The events that these transactions recorded."""
        columns = self.table.c
        query = select(columns.xid, columns.type, columns.body).where(any_of(connection, columns.xid, xids))
        rows = await connection.execute(query.order_by(columns.xid, columns.position))
        return [(xid, OutgoingEvent(type_, body)) for xid, type_, body in rows]


def _measure(publication: Publication) -> int:
    return sum(len(event.body) for event in publication.events)


def _with_trace(event: Event, trace: str | None) -> Event:
    if event.trace is not None or trace is None:
        return event
    return Event(
        source=event.source, id=event.id, type=event.type, time=event.time, data=event.data, trace=trace
    )
