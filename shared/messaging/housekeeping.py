"""Deletes expired rows from the tables of messaging, in batches of bounded size."""

from datetime import timedelta

from sqlalchemy import Table, delete, select, tuple_

from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.relay import Relay

INBOX_KEEP = timedelta(days=30)
"""Longer than the longest replay: an event that was handled before that may be handled twice."""
_BATCH = 2000


class Housekeeping:
    """The housekeeping of one service."""

    def __init__(self, database: Database, relay: Relay, inbox: Table, clock: Clock) -> None:
        self._database, self._relay = database, relay
        self._inbox, self._clock = inbox, clock

    async def delete_expired(self) -> None:
        """Delete sent rows of the outbox and a batch of the inbox."""
        while await self._relay.delete_sent():
            pass
        await self._delete_from_inbox()

    async def _delete_from_inbox(self) -> None:
        columns = self._inbox.c
        key = tuple_(columns.consumer, columns.source, columns.id)
        expired = select(columns.consumer, columns.source, columns.id)
        expired = expired.where(columns.received_at < self._clock.now() - INBOX_KEEP).limit(_BATCH)
        async with self._database.transaction() as connection:
            await connection.execute(delete(self._inbox).where(key.in_(expired)))
