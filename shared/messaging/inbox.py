"""Events that a consumer has handled before are left out, in the transaction of its effects."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.bulk import BulkInsert
from shared.messages.cloudevents import Data, Event


class EventName(NamedTuple):
    """What names an event for ever."""

    source: str
    id: str


class Inbox:
    """The events that a service has handled, by consumer."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self._clock = clock
        self._insert = BulkInsert(
            table,
            lambda insert: insert.on_conflict_do_nothing().returning(table.c.source, table.c.id),
        )

    async def once(
        self, connection: AsyncConnection, consumer: str, events: Sequence[Event[Data]]
    ) -> list[Event[Data]]:
        """Those of `events` that `consumer` has not handled, in their order; from now on they are handled."""
        unique: dict[EventName, Event[Data]] = {}
        for event in events:
            unique.setdefault(EventName(event.source, event.id), event)
        if not unique:
            return []
        now = self._clock.now()
        rows = [
            {"consumer": consumer, "source": name.source, "id": name.id, "received_at": now}
            for name in sorted(unique)  # one order for all copies: no deadlocks
        ]
        inserted = await self._insert.execute(connection, rows)
        fresh = {EventName(*row) for row in inserted}
        return [event for name, event in unique.items() if name in fresh]
