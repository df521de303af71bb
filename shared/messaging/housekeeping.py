"""Removes what has had its time from the tables of messaging, in bounded bites."""

from datetime import timedelta

from sqlalchemy import Table, delete, select, tuple_

from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.relay import Relay

INBOX_KEEP = timedelta(days=30)
"""Longer than the longest replay: what was taken before that may be taken twice."""
_BITE = 2000


class Housekeeping:
    """The housekeeping of one service."""

    def __init__(self, database: Database, relay: Relay, inbox: Table, clock: Clock) -> None:
        self._database, self._relay = database, relay
        self._inbox, self._clock = inbox, clock

    async def clean(self) -> None:
        """Remove sent rows of the outbox and a bite of the inbox."""
        while await self._relay.clean():
            pass
        await self._clean_inbox()

    async def _clean_inbox(self) -> None:
        columns = self._inbox.c
        name = tuple_(columns.consumer, columns.source, columns.id)
        old = select(columns.consumer, columns.source, columns.id)
        old = old.where(columns.received_at < self._clock.now() - INBOX_KEEP).limit(_BITE)
        async with self._database.transaction() as connection:
            await connection.execute(delete(self._inbox).where(name.in_(old)))
