"""The only way to listen: what a consumer has taken before is left out, in the transaction of its effects."""

from collections.abc import Sequence

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.bulk import BulkInsert
from shared.messages.cloudevents import Event


class Inbox:
    """A service's memory of what it has taken."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self._clock = clock
        self._insertion = BulkInsert(
            table,
            lambda insert: insert.on_conflict_do_nothing().returning(table.c.source, table.c.id),
        )

    async def once(self, connection: AsyncConnection, consumer: str, events: Sequence[Event]) -> list[Event]:
        """Those of `events` that `consumer` has not taken yet, in their order; from now on they are taken."""
        unique: dict[tuple[str, str], Event] = {}
        for event in events:
            unique.setdefault((event.source, event.id), event)
        if not unique:
            return []
        now = self._clock.now()
        rows = [
            {"consumer": consumer, "source": source, "id": id_, "received_at": now}
            for source, id_ in sorted(unique)  # one order for all copies: no deadlocks
        ]
        fresh = {(source, id_) for source, id_ in await self._insertion.run(connection, rows)}
        return [event for key, event in unique.items() if key in fresh]
