"""Events are recorded in the transaction that changes state, relayed after it."""

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.database.bulk import BulkInsert
from shared.messages.cloudevents import Event, encode
from shared.telemetry import current_trace


class Outbox:
    """A service's outbox: `record` inside a transaction, wake the relay once it has committed.

    `recorded_count` counts what this process has ever recorded, committed or not.
    """

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self.recorded_count = 0
        self._clock = clock
        self._insert = BulkInsert(table, omit=("id", "attempts", "sent_at"))

    async def record(self, connection: AsyncConnection, *events: Event) -> None:
        """Write `events` to be sent; one statement, whatever their number."""
        if not events:
            return
        now = self._clock.now()
        trace = current_trace()
        rows = [
            {
                "type": event.type,
                "body": encode(_with_trace(event, trace)),
                "recorded_at": now,
                "available_at": now,
            }
            for event in events
        ]
        await self._insert.execute(connection, rows)
        self.recorded_count += len(rows)


def _with_trace(event: Event, trace: str | None) -> Event:
    if event.trace is not None or trace is None:
        return event
    return Event(
        source=event.source, id=event.id, type=event.type, time=event.time, data=event.data, trace=trace
    )
