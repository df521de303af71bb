"""Publishes what was committed: from memory at once, from the database what nobody has confirmed in time.

A process publishes what it committed itself, in that order, and then deletes the transaction's row of
`unsent`. Of rows whose lease is over, since their process died or the broker was away, any copy claims a few
by a new lease, reads their events and publishes them: no lock and no open transaction while the broker
confirms. So an event is published at least once; consumers leave out repetitions.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple, cast

import structlog
from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, tuple_, update

from shared.clock import Clock
from shared.database.bulk import BulkDelete, BulkUpdate
from shared.database.engine import Database
from shared.messaging.availability import is_temporary
from shared.messaging.bus import Bus, BusDown
from shared.messaging.outbox import LEASE, EventSource, Outbox, OutgoingEvent, Publication
from shared.messaging.packing import pack_messages
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_MAX_BATCH = 500
_MAX_CLAIMED = 20
"""Transactions: each may have hundreds of events."""
_POLL_SECONDS = 1.0
_SETTLE_SECONDS = 0.25
_CLAIM = timedelta(seconds=10)
_LONGEST_BACK_OFF = 6
"""Doublings of ten seconds."""
_KEEP = timedelta(hours=2)
_MAX_DELETED = 2000


class ClaimedTransaction(NamedTuple):
    """A transaction whose events this process publishes, how many, and how often that was tried by now."""

    xid: int
    events: int
    attempts: int


class Relay:
    """One service's relay. `sources`: the outbox, and tables of the service's own whose rows are events."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, clock: Clock) -> None:
        self._database, self._outbox, self._bus, self._clock = database, outbox, bus, clock
        self.sources: list[EventSource] = [outbox]
        self._delete_unsent = BulkDelete(outbox.unsent, ("xid",))
        self._postpone_unsent = BulkUpdate(outbox.unsent, ("xid",), ("available_at", "attempts"))
        self._any_unsent = select(outbox.unsent.c.xid).limit(1)
        self._confirmed: list[int] = []
        self._settled_at = self._polled_at = 0.0

    async def run(self) -> None:
        """Publish for ever."""
        await run_forever(f"{self._database.service} relay", self._send_and_wait, is_temporary=is_temporary)

    async def _send_and_wait(self) -> None:
        self._outbox.wakeup.clear()
        sent = await self.send_committed()
        if self._outbox.is_behind or monotonic() - self._polled_at > _POLL_SECONDS:
            sent += await self.send_unconfirmed()
        if monotonic() - self._settled_at > _SETTLE_SECONDS:
            await self.settle()
        if not sent:
            await self._rest()

    async def _rest(self) -> None:
        """Until something is committed, or there is something to settle or to look for."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS if self._confirmed else _POLL_SECONDS):
                await self._outbox.wakeup.wait()
        except TimeoutError:
            pass

    async def drain(self) -> int:
        """Publish all that this process has committed; how much. Instead of `run`."""
        total = 0
        while count := await self._send():
            total += count
        await self.settle()
        return total

    async def _send(self) -> int:
        """Publish a batch of what waits in memory; of what is unconfirmed where this process is behind."""
        sent = await self.send_committed()
        return await self.send_unconfirmed() if self._outbox.is_behind and not sent else sent

    async def send_committed(self) -> int:
        """Publish a batch of what was committed here; how many events. Raises `BusDown`: it is read again."""
        publications = self._outbox.take(_MAX_BATCH)
        try:
            refused = await self._publish(publications)
        except BaseException:
            self._outbox.is_behind = self._outbox.is_behind or bool(publications)
            raise
        await self._postpone([ClaimedTransaction(xid, 0, 1) for xid in sorted(refused)])
        return sum(len(publication.events) for publication in publications)

    async def send_unconfirmed(self) -> int:
        """Publish a few transactions that nobody confirmed in time; how many. Raises `BusDown`."""
        self._polled_at = monotonic()
        await self.settle()
        claimed = await self._claim()
        if not claimed:
            self._outbox.is_behind = False
            return 0
        failure: BusDown | None = None
        for together in _group_claimed(claimed):
            try:
                await self._send_claimed(together)
            except BusDown as error:
                failure = error
        await self.settle()
        if failure is not None:
            raise failure
        return len(claimed)

    async def _send_claimed(self, claimed: Sequence[ClaimedTransaction]) -> None:
        publications = await self._read_publications([one.xid for one in claimed])
        refused = await self._publish(publications)
        await self._postpone([one for one in claimed if one.xid in refused])
        gone = {one.xid for one in claimed} - {publication.xid for publication in publications}
        self._confirmed += gone  # its events are nowhere any more

    async def _claim(self) -> list[ClaimedTransaction]:
        """Transactions whose lease is over, those written first, from now on leased to this process."""
        async with self._database.autocommit() as connection:
            if (await connection.execute(self._any_unsent)).first() is None:
                return []
        unsent, now = self._outbox.unsent, self._clock.now()
        due = select(unsent.c.xid).where(self._is_due(now)).order_by(unsent.c.xid).limit(_MAX_CLAIMED)
        if self._database.is_postgres:
            due = due.with_for_update(skip_locked=True)
        claim = (
            update(unsent)
            .where(unsent.c.xid.in_(due.scalar_subquery()))
            .values(available_at=now + _CLAIM, attempts=unsent.c.attempts + 1)
            .returning(unsent.c.xid, unsent.c.events, unsent.c.attempts)
        )
        async with self._database.batch() as connection:
            rows = (await connection.execute(claim)).all()
        return sorted(ClaimedTransaction(*row) for row in rows)

    def _is_due(self, now: datetime) -> ColumnElement[bool]:
        # What was written in the future was written before the clock was set back; a little later than `now`
        # is what was written while this statement was under way.
        unsent = self._outbox.unsent.c
        return or_(unsent.available_at <= now, unsent.recorded_at > now + LEASE)

    async def _read_publications(self, xids: Sequence[int]) -> list[Publication]:
        leased_until = self._clock.now() + _CLAIM
        events: dict[int, list[OutgoingEvent]] = {}
        async with self._database.autocommit() as connection:
            for source in self.sources:
                for xid, event in await source.read_events(connection, xids):
                    events.setdefault(xid, []).append(event)
        return [Publication(xid, events[xid], leased_until) for xid in sorted(events)]

    async def _publish(self, publications: Sequence[Publication]) -> set[int]:
        """Publish the events; the transactions of which one was refused, the others are confirmed."""
        packs = list(pack_messages(publications))
        refused = await self._bus.publish([message for message, _ in packs]) if packs else ()
        failed = {xid for index in refused for xid in packs[index][1]}
        self._confirmed += [publication.xid for publication in publications if publication.xid not in failed]
        return failed

    async def settle(self) -> None:
        """Delete the rows of what was confirmed."""
        self._settled_at = monotonic()
        confirmed, self._confirmed = self._confirmed, []
        if confirmed:
            async with self._database.batch() as connection:
                await self._delete_unsent.execute(connection, [{"xid": xid} for xid in confirmed])

    async def _postpone(self, refused: Sequence[ClaimedTransaction]) -> None:
        """Try these again later, the longer the more often they were refused."""
        if not refused:
            return
        _log.warning("messages refused by the broker", transactions=len(refused))
        now = self._clock.now()
        rows = [
            {
                "xid": xid,
                "available_at": now + _CLAIM * 2 ** min(attempts - 1, _LONGEST_BACK_OFF),
                "attempts": attempts,
            }
            for xid, _, attempts in refused
        ]
        async with self._database.batch() as connection:
            await self._postpone_unsent.execute(connection, rows)

    async def delete_sent(self) -> int:
        """Delete a batch of rows that were published long ago; how many."""
        table, unsent = self._outbox.table, self._outbox.unsent
        is_unsent = exists().where(unsent.c.xid == table.c.xid)
        expired = select(table.c.xid, table.c.position).where(
            table.c.recorded_at < self._clock.now() - _KEEP, ~is_unsent
        )
        key = tuple_(table.c.xid, table.c.position)
        async with self._database.transaction() as connection:
            statement = delete(table).where(key.in_(expired.limit(_MAX_DELETED)))
            return (await connection.execute(statement)).rowcount

    async def measure_backlog(self) -> tuple[int, float]:
        """How many events are to be published, and the age of the oldest in seconds."""
        unsent = self._outbox.unsent
        counts = select(func.coalesce(func.sum(unsent.c.events), 0), func.min(unsent.c.recorded_at))
        query = cast(Select[int, datetime | None], counts)
        async with self._database.snapshot() as connection:
            count, oldest = (await connection.execute(query)).one()
        return int(count), max(0.0, (self._clock.now() - oldest).total_seconds()) if oldest else 0.0


def _group_claimed(claimed: Sequence[ClaimedTransaction]) -> list[list[ClaimedTransaction]]:
    """Those tried for the first time together, up to a batch of events: so much is published at once.

    Each of the others alone: one may be why it failed.
    """
    groups: list[list[ClaimedTransaction]] = []
    size = _MAX_BATCH
    for one in claimed:
        weight = one.events if one.attempts == 1 else _MAX_BATCH
        if size + weight > _MAX_BATCH:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += weight
    return groups
